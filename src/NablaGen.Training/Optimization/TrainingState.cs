using System.Globalization;
using NablaGen.Tensors;
using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Training.Optimization;

/// <summary>
/// A training on disk, 8 bytes a weight: the weights in float32, the second moment in bfloat16, and in 8 bits with a scale for each 256
/// values the first moment (it forgets within ten steps) and the difference from the weights to their average (a small one).
/// </summary>
/// <remarks>
/// Saving also rounds what is in memory to what was written, so that a run that goes on and one that resumes do the same.
/// </remarks>
public static class TrainingState
{
    private const int Piece = 256;
    private const string StepKey = "nablagen.step";

    /// <summary>Writes the state, aside first.</summary>
    /// <param name="path">The safetensors file.</param>
    /// <param name="parameters">The weights.</param>
    /// <param name="optimizer">The moments and the average; they are rounded.</param>
    /// <param name="metadata">What else is to be known.</param>
    public static void Save(string path, FlatParameters parameters, Optimizer optimizer, IReadOnlyDictionary<string, string> metadata)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var tensors = new Dictionary<string, Tensor>();
        foreach (var (name, shape, start) in parameters.Items)
        {
            var count = shape.Aggregate(1L, (product, side) => product * side);
            var weights = parameters.Master.narrow(0, start, count);
            tensors["weights." + name] = weights.view(shape);

            var variance = optimizer.Variance.narrow(0, start, count);
            tensors["variance." + name] = variance.to_type(ScalarType.BFloat16).view(shape);
            variance.copy_(tensors["variance." + name].flatten());

            var momentum = optimizer.Momentum.narrow(0, start, count);
            momentum.copy_(Pack(momentum, "momentum." + name, tensors));
            var average = optimizer.Average.narrow(0, start, count);
            average.copy_(weights.Plus(Pack(average - weights, "average." + name, tensors)));
        }

        SafetensorsWriter.Write(path, tensors, new Dictionary<string, string>(metadata) { [StepKey] = $"{optimizer.Step}" });
    }

    /// <summary>Reads a state into a model of the same parameters.</summary>
    /// <exception cref="NablaGenException">The file is bad or of another model.</exception>
    public static void Load(string path, FlatParameters parameters, Optimizer optimizer)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var file = SafetensorsFile.Open(path);
        optimizer.Step = StepOf(file);
        foreach (var (name, shape, start) in parameters.Items)
        {
            var count = shape.Aggregate(1L, (product, side) => product * side);
            var weights = parameters.Master.narrow(0, start, count);
            file.CopyTo("weights." + name, weights.view(shape));
            // Read, not copied as weights are: what was never trained has a variance of zeros.
            optimizer.Variance.narrow(0, start, count).view(shape).copy_(file.Read("variance." + name));
            optimizer.Momentum.narrow(0, start, count).copy_(Unpack(file, "momentum." + name, weights.device));
            optimizer.Average.narrow(0, start, count).copy_(weights.Plus(Unpack(file, "average." + name, weights.device)));
        }

        parameters.Publish();
    }

    /// <summary>What was noted beside the weights, and the steps done.</summary>
    /// <exception cref="NablaGenException">It is no state of ours.</exception>
    public static (int Step, IReadOnlyDictionary<string, string> Metadata) Notes(string path)
    {
        using var file = SafetensorsFile.Open(path);
        return (StepOf(file), file.Metadata);
    }

    private static int StepOf(SafetensorsFile file) =>
        file.Metadata.TryGetValue(StepKey, out var text) && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var step)
            ? step
            : throw new NablaGenException($"{file.Path}: not the state of a training: expected the metadata \"{StepKey}\"");

    // Adds the 8-bit values and their scales, and returns what will be read back. [n]
    private static Tensor Pack(Tensor values, string name, Dictionary<string, Tensor> tensors)
    {
        var rows = Rows(values);
        var scale = rows.abs().amax([1], keepdim: true).Over(127);
        var codes = (rows / scale.AtLeast(1e-30)).round().to_type(ScalarType.Int8);
        tensors[name] = codes.flatten().narrow(0, 0, values.numel());
        tensors[name + ".scale"] = scale.squeeze(1);
        return (codes * scale).flatten().narrow(0, 0, values.numel());
    }

    private static Tensor Unpack(SafetensorsFile file, string name, Device device)
    {
        var codes = file.Read(name).to(device);
        var scale = file.Read(name + ".scale").to(device).unsqueeze(1);
        return (Rows(codes) * scale).flatten().narrow(0, 0, codes.numel());
    }

    private static Tensor Rows(Tensor values) => nn.functional.pad(values, [0, (Piece - values.numel() % Piece) % Piece]).view(-1, Piece);
}
