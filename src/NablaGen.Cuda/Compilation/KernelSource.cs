using System.Reflection;

namespace NablaGen.Cuda.Compilation;

/// <summary>A kernel's text, <c>Kernels/NAME.cu</c>, with the headers beside it, as embedded in this assembly.</summary>
/// <param name="Name">File name without its ending.</param>
/// <param name="Text">The text of the .cu file.</param>
/// <param name="Headers">Name and text of every header, in the order of their names.</param>
internal sealed record KernelSource(string Name, string Text, IReadOnlyList<(string Name, string Text)> Headers)
{
    private const string Folder = "Kernels/";
    private static readonly Assembly Home = typeof(KernelSource).Assembly;

    private static readonly Lazy<IReadOnlyList<(string, string)>> AllHeaders = new(() =>
        [
            .. Resources().Where(name => name.EndsWith(".cuh", StringComparison.Ordinal))
                .Select(name => (name[Folder.Length..], Read(name)))
                .Append((LaunchConstants.HeaderName, LaunchConstants.Header))
                .OrderBy(header => header.Item1, StringComparer.Ordinal),
        ]);

    /// <summary>Names of all kernels.</summary>
    public static IReadOnlyList<string> Names { get; } =
        [.. Resources().Where(name => name.EndsWith(".cu", StringComparison.Ordinal)).Select(name => name[Folder.Length..^3])];

    /// <summary>The kernel of that name.</summary>
    public static KernelSource Load(string name) => new(name, Read(Folder + name + ".cu"), AllHeaders.Value);

    private static IEnumerable<string> Resources() => Home.GetManifestResourceNames()
        .Select(name => name.Replace('\\', '/'))
        .Where(name => name.StartsWith(Folder, StringComparison.Ordinal))
        .Order(StringComparer.Ordinal);

    private static string Read(string resource)
    {
        using var stream = Home.GetManifestResourceStream(resource)
            ?? throw new CudaException($"The kernel source {resource} is not in {Home.GetName().Name}.");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
