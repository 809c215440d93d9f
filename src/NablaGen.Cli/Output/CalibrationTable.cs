using NablaGen.Jobs.Calibration;

namespace NablaGen.Cli.Output;

/// <summary>What a calibration found, beside the one global threshold of the same density.</summary>
internal static class CalibrationTable
{
    public static void Write(TextWriter output, CalibratedThresholds found, string path, string page)
    {
        output.WriteLine();
        output.WriteLine($"{"",-22}{"threshold",16}{"density",9}{"error",9}");
        var all = found.Thresholds.ToArray().SelectMany(layer => layer).ToArray();
        output.WriteLine($"{"by layer and head",-22}{$"{all.Min():0.000}-{all.Max():0.000}",16}{found.Density,9:0.000}{found.Error,9:0.0000}");
        output.WriteLine($"{"one for all",-22}{found.GlobalThreshold,16:0.000}{found.Density,9:0.000}{found.GlobalError,9:0.0000}");
        output.WriteLine();
        output.WriteLine("threshold by layer (rows) and head (columns), and how much a layer counts");
        for (var layer = 0; layer < found.Layers; layer++)
        {
            var heads = string.Concat(Enumerable.Range(0, Math.Min(found.Heads, MostHeads)).Select(head => $"{found.Thresholds[layer, head],6:0.00}"));
            output.WriteLine($"{layer,4} {heads}{(found.Heads > MostHeads ? " ..." : "")}   {found.LayerWeights[layer]:0.000}");
        }

        output.WriteLine();
        Summary.Line("density", $"{found.DensityInUse:0.000} in a whole run of the first prompt");
        Summary.Line("file", path);
        Summary.Line("page", page);
        Summary.Line("use", $"nablagen generate --attention nabla-{(path.Contains(' ') ? $"\"{path}\"" : path)} --prompt ...");
    }

    // What an 80-column terminal holds.
    private const int MostHeads = 10;
}
