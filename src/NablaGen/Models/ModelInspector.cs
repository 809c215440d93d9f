using NablaGen.Weights;
using NablaGen.Weights.Lora;

namespace NablaGen.Models;

/// <summary>Looks at files of tensors and at models, without reading weights.</summary>
public static class ModelInspector
{
    /// <summary>What a path is: of a folder, its model's parts.</summary>
    /// <exception cref="NablaGenException">There is no such path, or a file can't be read; the line says why.</exception>
    public static PathInspection Inspect(string path)
    {
        if (!Directory.Exists(path))
        {
            return new PathInspection(path, null, null, [InspectFile(path)], null);
        }

        if (Path.Combine(path, LoraChoice.AdapterFile) is var adapter && File.Exists(adapter))
        {
            return new PathInspection(path, null, null, [InspectFile(adapter)], null);
        }

        return (ModelFamilies.All.FirstOrDefault(family => family.Recognizes(path)) ?? ModelFamilies.All[0]).InspectFolder(path);
    }

    /// <summary>What a file of tensors is.</summary>
    /// <exception cref="NablaGenException">There is no such file, or it can't be read.</exception>
    public static FileInspection InspectFile(string path) => ModelFamilies.All.Select(family => family.InspectFile(path)).FirstOrDefault(found => found is not null) ?? Unknown(path);

    /// <summary>What a file of a folder is; one that can't be read is told, so that the others are seen.</summary>
    internal static FileInspection InspectOrTell(string path)
    {
        try
        {
            return InspectFile(path);
        }
        catch (NablaGenException error)
        {
            return new FileInspection
            {
                Path = path,
                Kind = "nothing that can be read",
                Tensors = 0,
                Parameters = 0,
                Bytes = 0,
                Formats = new Dictionary<string, int>(),
                Problem = error.Message,
            };
        }
    }

    internal static Dictionary<string, int> Formats(IEnumerable<TensorEntry> entries) =>
        entries.GroupBy(entry => entry.Format).OrderByDescending(group => group.Count()).ThenBy(group => group.Key, StringComparer.Ordinal)
            .ToDictionary(group => group.Key, group => group.Count());

    // Saturated: the sides that a file claims may be absurd where one of them is 0.
    internal static long Count(IEnumerable<TensorEntry> entries) =>
        entries.Sum(entry => entry.Shape.Contains(0) ? 0 : entry.Shape.Aggregate(1L, (product, side) => product * side));

    private static FileInspection Unknown(string path)
    {
        using var source = TensorSources.Open(path);
        var entries = source.Entries.Values.ToList();
        var lora = LoraInspection.Of(source);
        return new FileInspection
        {
            Path = path,
            Kind = lora is null ? "tensors" : "LoRA",
            Lora = lora,
            Names = lora?.Dialect,
            Tensors = entries.Count,
            Parameters = Count(entries),
            Bytes = entries.Sum(entry => entry.ByteCount),
            Formats = Formats(entries),
        };
    }
}
