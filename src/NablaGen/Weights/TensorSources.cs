using NablaGen.Weights.Gguf;

namespace NablaGen.Weights;

/// <summary>Opens tensors on disk by the ending of the file's name.</summary>
public static class TensorSources
{
    private static readonly Dictionary<string, Func<string, ITensorSource>> Openers = new(StringComparer.OrdinalIgnoreCase)
    {
        [".ckpt"] = PthFile.Open,
        [".gguf"] = GgufFile.Open,
        [".json"] = ShardedCheckpoint.Open,
        [".pt"] = PthFile.Open,
        [".pth"] = PthFile.Open,
        [".safetensors"] = SafetensorsFile.Open,
    };

    /// <summary>Whether a file's name ends as one of tensors does, an index of shards not counted.</summary>
    public static bool IsTensorFile(string path) => Path.GetExtension(path) is var ending && ending != ".json" && Openers.ContainsKey(ending);

    /// <summary>Opens a file, or the index of its shards, and verifies its directory.</summary>
    /// <exception cref="NablaGenException">It is truncated or malformed.</exception>
    public static ITensorSource Open(string path) =>
        Openers.TryGetValue(Path.GetExtension(path), out var open) ? open(path) : SafetensorsFile.Open(path);
}
