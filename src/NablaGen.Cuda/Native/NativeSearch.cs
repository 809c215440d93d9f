using System.Globalization;
using System.Runtime.InteropServices;

namespace NablaGen.Cuda.Native;

/// <summary>
/// Finds the native libraries that the kernels need. The driver comes with the graphics card; NVRTC ships with TorchSharp's CUDA
/// packages, with PyTorch and with the CUDA toolkit, each in folders of its own.
/// </summary>
internal static class NativeSearch
{
    /// <summary>Names a folder with a libtorch, such as a PyTorch installation's <c>torch/lib</c>.</summary>
    public const string LibTorchVariable = "NABLAGEN_LIBTORCH";

    /// <summary>Folders that may hold NVRTC, best first, existing ones only, each once.</summary>
    public static IReadOnlyList<string> NvrtcFolders(Func<string, string?> environment, string baseDirectory)
    {
        var folders = new List<string>();
        void Add(string? folder)
        {
            if (!string.IsNullOrWhiteSpace(folder) && Directory.Exists(folder))
            {
                var full = Path.GetFullPath(folder);
                if (!folders.Contains(full))
                {
                    folders.Add(full);
                }
            }
        }

        if (environment(LibTorchVariable) is { Length: > 0 } libTorch)
        {
            Add(libTorch);
            // A PyTorch wheel: site-packages/torch/lib, with site-packages/nvidia/*/lib (or bin) beside it.
            AddNvidiaWheels(Path.Combine(libTorch, "..", "..", "nvidia"), Add);
        }

        Add(baseDirectory);
        Add(Path.Combine(baseDirectory, "runtimes", RuntimeInformation.RuntimeIdentifier, "native"));
        Add(Path.Combine(baseDirectory, "runtimes", OperatingSystem.IsWindows() ? "win-x64" : "linux-x64", "native"));
        foreach (var variable in new[] { "CUDA_PATH", "CUDA_HOME" })
        {
            if (environment(variable) is { Length: > 0 } root)
            {
                AddToolkit(root, Add);
            }
        }

        var path = environment(OperatingSystem.IsWindows() ? "PATH" : "LD_LIBRARY_PATH");
        foreach (var folder in (path ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries))
        {
            Add(folder);
        }

        if (!OperatingSystem.IsWindows())
        {
            AddToolkit("/usr/local/cuda", Add);
            Add("/usr/lib/x86_64-linux-gnu");
            Add("/usr/lib64");
        }

        return folders;
    }

    /// <summary>The NVRTC libraries in one folder, newest first; not the built-ins nor the alternative build.</summary>
    public static IReadOnlyList<string> NvrtcFiles(string folder)
    {
        var pattern = OperatingSystem.IsWindows() ? "nvrtc64_*.dll" : "libnvrtc*.so*";
        return [.. Directory.EnumerateFiles(folder, pattern)
            .Where(file => !Path.GetFileName(file).Contains("builtins", StringComparison.Ordinal)
                && !Path.GetFileName(file).Contains(".alt.", StringComparison.Ordinal))
            .OrderByDescending(VersionOf)];
    }

    /// <summary>The cuBLASLt among a process's loaded files; null if there is none.</summary>
    public static string? LoadedCublasLt(IEnumerable<string> files) => files.FirstOrDefault(file =>
        Path.GetFileName(file.Replace('\\', '/')) is var name
        && (name.StartsWith("libcublasLt.so", StringComparison.Ordinal) || name.StartsWith("libcublasLt-", StringComparison.Ordinal)
            || name.StartsWith("cublasLt64_", StringComparison.OrdinalIgnoreCase)));

    /// <summary>The driver library's names, in the order they are tried through the system's own search.</summary>
    public static IReadOnlyList<string> DriverNames { get; } =
        OperatingSystem.IsWindows() ? ["nvcuda.dll"] : ["libcuda.so.1", "libcuda.so", "/usr/lib/wsl/lib/libcuda.so.1"];

    /// <summary>
    /// The version in a file name, times ten: nvrtc64_120_0.dll is 120, libnvrtc.so.11.2 is 112, libnvrtc-5a3f.so.13 is 130.
    /// </summary>
    internal static int VersionOf(string file)
    {
        var name = Path.GetFileName(file);
        if (name.EndsWith(".dll", StringComparison.OrdinalIgnoreCase))
        {
            var parts = name.Split('_');
            return parts.Length > 1 && int.TryParse(parts[1], CultureInfo.InvariantCulture, out var number) ? number : 0;
        }

        var at = name.IndexOf(".so.", StringComparison.Ordinal);
        if (at < 0)
        {
            return 0;
        }

        var numbers = name[(at + 4)..].Split('.');
        var major = int.TryParse(numbers[0], CultureInfo.InvariantCulture, out var m) ? m : 0;
        var minor = numbers.Length > 1 && int.TryParse(numbers[1], CultureInfo.InvariantCulture, out var n) ? n : 0;
        return major * 10 + minor;
    }

    private static void AddToolkit(string root, Action<string?> add)
    {
        foreach (var sub in new[] { "bin/x64", "bin", "lib64", "targets/x86_64-linux/lib", "lib" })
        {
            add(Path.Combine(root, sub));
        }
    }

    private static void AddNvidiaWheels(string root, Action<string?> add)
    {
        if (!Directory.Exists(root))
        {
            return;
        }

        foreach (var package in Directory.EnumerateDirectories(root).OrderDescending(StringComparer.Ordinal))
        {
            add(Path.Combine(package, "lib"));
            add(Path.Combine(package, "bin"));
            add(Path.Combine(package, "bin", "x86_64"));
        }
    }
}
