using System.Globalization;
using System.Text.Json;
using NablaGen.Files;

namespace NablaGen.Weights;

/// <summary>Writes tensors into one file, or into several and an index where they are more than a file is to hold.</summary>
internal static class SafetensorsShards
{
    private const string Ending = ".safetensors";

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>Writes them; each file is read back and compared.</summary>
    /// <param name="path">The file, which ends in .safetensors; shards are <c>NAME-00001-of-00002.safetensors</c>, and their index <c>NAME.safetensors.index.json</c>.</param>
    /// <param name="tensors">The tensors.</param>
    /// <param name="mostBytes">Bytes of tensors in a file; a tensor that has more is alone in its own.</param>
    /// <exception cref="NablaGenException">A file can't be written, or is read back other than it was written.</exception>
    public static void Write(string path, IReadOnlyList<ConvertedTensor> tensors, long mostBytes)
    {
        var shards = new List<List<ConvertedTensor>> { new() };
        var bytes = 0L;
        foreach (var tensor in tensors)
        {
            if (shards[^1].Count > 0 && bytes + tensor.ByteCount > mostBytes)
            {
                shards.Add([]);
                bytes = 0;
            }

            shards[^1].Add(tensor);
            bytes += tensor.ByteCount;
        }

        if (shards.Count == 1)
        {
            WriteOne(path, shards[0]);
            return;
        }

        var map = new Dictionary<string, string>();
        for (var i = 0; i < shards.Count; i++)
        {
            var shard = string.Create(CultureInfo.InvariantCulture, $"{path[..^Ending.Length]}-{i + 1:00000}-of-{shards.Count:00000}{Ending}");
            WriteOne(shard, shards[i]);
            shards[i].ForEach(tensor => map.Add(tensor.Name, Path.GetFileName(shard)));
        }

        OutputFile.Write(path + ".index.json", file => JsonSerializer.Serialize(
            file, new { metadata = new { total_size = tensors.Sum(tensor => tensor.ByteCount) }, weight_map = map }, Indented));
    }

    private static void WriteOne(string path, List<ConvertedTensor> tensors)
    {
        SafetensorsWriter.Write(path, tensors);
        WrittenTensors.Verify(path, tensors);
    }
}
