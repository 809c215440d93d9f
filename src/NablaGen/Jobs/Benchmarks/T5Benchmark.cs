using NablaGen.Models.Wan.Text;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Jobs.Benchmarks;

/// <summary>Times a prompt through a text encoder of random weights.</summary>
public static class T5Benchmark
{
    /// <summary>Makes the model, warms up, times.</summary>
    /// <param name="config">The encoder's sizes.</param>
    /// <param name="tokens">Tokens of the prompt.</param>
    /// <param name="options">Where, and in which type.</param>
    /// <param name="repeats">Timed passes; the median counts.</param>
    /// <param name="cancellation">Stops between passes.</param>
    public static T5Timing Run(TextEncoderConfig config, int tokens, ModuleOptions options, int repeats, CancellationToken cancellation = default)
    {
        using var noGrad = no_grad();
        using var model = new T5Encoder(config, options);
        RandomWeights.Fill(model);
        var random = new Random(1);
        var ids = Enumerable.Range(0, tokens).Select(_ => random.Next(config.Vocab)).ToArray();
        model.Encode(ids).Dispose();
        var times = ModelTimer.Run(options.Device, repeats, () =>
        {
            cancellation.ThrowIfCancellationRequested();
            model.Encode(ids).Dispose();
        });
        return new T5Timing(
            tokens, options.Dtype.ToString().ToLowerInvariant(), times[repeats / 2], times[0], times[^1], ModelTimer.PeakMemory(options.Device));
    }
}

/// <summary>The time of one prompt through a text encoder.</summary>
/// <param name="Tokens">Tokens of the prompt.</param>
/// <param name="Dtype">The type of weights and activations.</param>
/// <param name="Milliseconds">The median.</param>
/// <param name="Fastest">The shortest, in milliseconds.</param>
/// <param name="Slowest">The longest, in milliseconds.</param>
/// <param name="MemoryBytes">Memory in use on the device (all programs'), or the process's peak on the CPU.</param>
public sealed record T5Timing(int Tokens, string Dtype, double Milliseconds, double Fastest, double Slowest, long MemoryBytes);
