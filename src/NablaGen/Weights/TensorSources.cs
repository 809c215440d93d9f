namespace NablaGen.Weights;

/// <summary>Opens tensors on disk by the ending of the file's name.</summary>
public static class TensorSources
{
    private static readonly Dictionary<string, Func<string, ITensorSource>> Openers = new(StringComparer.OrdinalIgnoreCase)
    {
        [".json"] = ShardedCheckpoint.Open,
        [".pth"] = PthFile.Open,
        [".safetensors"] = SafetensorsFile.Open,
    };

    /// <summary>Opens a file, or the index of its shards, and verifies its directory.</summary>
    /// <exception cref="NablaGenException">It is truncated or malformed.</exception>
    public static ITensorSource Open(string path) =>
        Openers.TryGetValue(Path.GetExtension(path), out var open) ? open(path) : SafetensorsFile.Open(path);
}
