using System.Globalization;
using System.Security.Cryptography;
using NablaGen.Files;

namespace NablaGen.Weights.Lora;

/// <summary>A LoRA to merge into a transformer. Equal where name, strength and contents are, wherever the file lies.</summary>
/// <param name="Path">A file, or a folder that peft wrote.</param>
/// <param name="Strength">What its changes are multiplied by; 0 leaves the weights as they are.</param>
public sealed record LoraChoice(string Path, double Strength = 1)
{
    /// <summary>The weights' file in a folder that peft wrote.</summary>
    internal const string AdapterFile = "adapter_model.safetensors";

    /// <summary>The settings beside <see cref="AdapterFile"/>.</summary>
    internal const string AdapterConfig = "adapter_config.json";

    private const int PieceBytes = 1 << 20;

    // Where ComfyUI keeps LoRAs, beside diffusion_models and the like.
    private const string SharedFolder = "loras";
    private const int FoldersAbove = 4;

    /// <summary>The SHA-256 of the weights' file, followed by peft's settings where there are some, 64 lower-case hexadecimal digits; null where nobody has read it.</summary>
    public string? Sha256 { get; init; }

    /// <summary>Which of two experts it is for.</summary>
    public LoraExpert Expert { get; init; }

    /// <summary>The name without the folder.</summary>
    public string Name => System.IO.Path.GetFileName(System.IO.Path.TrimEndingDirectorySeparator(Path.Replace('\\', '/')));

    /// <summary>The file with the weights.</summary>
    public string WeightsPath => Directory.Exists(Path) ? System.IO.Path.Combine(Path, AdapterFile) : Path;

    /// <summary>peft's settings, which belong to the weights; null where there are none.</summary>
    public string? ConfigPath =>
        System.IO.Path.GetFileName(WeightsPath) == AdapterFile
        && System.IO.Path.Combine(System.IO.Path.GetDirectoryName(WeightsPath) ?? "", AdapterConfig) is var path && File.Exists(path) ? path : null;

    /// <summary>
    /// The same at the place where it is found: where its path says or, by a relative path or by the name that a recipe has, in a folder
    /// <c>loras</c> of the model's folder or of one above it.
    /// </summary>
    /// <param name="modelPath">The model's folder or file.</param>
    public LoraChoice FoundNear(string modelPath)
    {
        if (Exists(Path))
        {
            return this;
        }

        return Found(modelPath, Path) ?? this;
    }

    /// <summary>
    /// One of a recipe, which opens no path: the same in a folder <c>loras</c> of the model's folder or of one above it, by its name alone.
    /// Null where none has it.
    /// </summary>
    /// <param name="modelPath">The model's folder or file.</param>
    public LoraChoice? AmongModels(string modelPath) => Name is "" or "." or ".." ? null : Found(modelPath, Name);

    // The folders are the user's own.
    private LoraChoice? Found(string modelPath, string relative)
    {
        string[] names = [.. new[] { System.IO.Path.IsPathRooted(relative) ? null : relative, Sha256 is null ? null : Name }.OfType<string>()];
        var folder = System.IO.Path.GetFullPath(modelPath);
        for (var i = 0; i < FoldersAbove && folder is not null; i++, folder = System.IO.Path.GetDirectoryName(folder))
        {
            if (names.Select(name => System.IO.Path.Combine(folder, SharedFolder, name)).FirstOrDefault(Exists) is { } found)
            {
                return this with { Path = found };
            }
        }

        return null;
    }

    private static bool Exists(string path) => File.Exists(path) || Directory.Exists(path);

    /// <summary>The same with the SHA-256 of what is on disk now.</summary>
    /// <param name="cancellation">Stops the reading.</param>
    /// <exception cref="NablaGenException">There is no such file, or it can't be read.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public LoraChoice Identified(CancellationToken cancellation = default)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[PieceBytes];
        foreach (var path in new[] { WeightsPath, ConfigPath }.OfType<string>())
        {
            using var file = MappedFile.Open(path);
            for (long done = 0; done < file.Length; done += buffer.Length)
            {
                cancellation.ThrowIfCancellationRequested();
                var piece = buffer.AsSpan(0, (int)Math.Min(buffer.Length, file.Length - done));
                file.Read(done, piece);
                hash.AppendData(piece);
            }
        }

        return this with { Sha256 = Convert.ToHexStringLower(hash.GetHashAndReset()) };
    }

    /// <inheritdoc/>
    public bool Equals(LoraChoice? other) => other is not null && Strength == other.Strength && Expert == other.Expert && Sha256 == other.Sha256
        && (Sha256 is null ? Path == other.Path : Name == other.Name);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Strength, Expert, Sha256);

    /// <summary>As <c>--lora</c> takes it.</summary>
    public override string ToString()
    {
        var expert = Expert == LoraExpert.All ? "" : NameOf(Expert) + ":";
        return Line.Of(Strength == 1 ? expert + Path : string.Create(CultureInfo.InvariantCulture, $"{expert}{Path}:{Strength}"));
    }

    /// <summary>An expert as it is written before a file.</summary>
    internal static string NameOf(LoraExpert expert) => expert == LoraExpert.High ? "high" : "low";
}
