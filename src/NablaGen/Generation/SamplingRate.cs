using System.Diagnostics;
using NablaGen.Models;
using NablaGen.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Generation;

/// <summary>A rough time of sampling before the model is read: a layer's products, norms and attention are timed on a few tokens.</summary>
internal static class SamplingRate
{
    private const int MostTokens = 1024;

    // Norms, modulations, sums and rotations of a layer that are not timed by name: passes over its tokens in float32.
    private const int Elementwise = 12;

    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(40);

    /// <summary>About how long one pass through the transformer takes.</summary>
    /// <param name="model">The transformer.</param>
    /// <param name="tokens">Tokens of the video.</param>
    /// <param name="density">The part of its attention that is computed.</param>
    /// <param name="device">Where it runs.</param>
    /// <param name="dtype">The type of its products.</param>
    public static TimeSpan Pass(TransformerTraits model, long tokens, double density, Device device, ScalarType dtype)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var count = Math.Min(tokens, MostTokens);
        long width = model.Width, inner = model.FeedForwardWidth;
        Tensor Zeros(params long[] shape) => zeros(shape, dtype, device);

        var (x, square, up, down) = (Zeros(count, width), Zeros(width, width), Zeros(width, inner), Zeros(inner, width));
        var wide = zeros([count, width], ScalarType.Float32, device);
        var heads = Zeros(1, model.Heads, count, model.HeadDim);
        // Query, key, value and output of the self-attention, query and output of the cross-attention, whose keys are kept; the feed-forward layer.
        var products = Time(device, () =>
        {
            for (var i = 0; i < 6; i++)
            {
                x.matmul(square);
            }

            nn.functional.gelu(x.matmul(up)).matmul(down);
            for (var i = 0; i < Elementwise; i++)
            {
                wide.Plus(wide);
            }
        });
        var attention = Time(device, () => nn.functional.scaled_dot_product_attention(heads, heads, heads));
        double times = (double)tokens / count;
        return TimeSpan.FromSeconds(Math.Min(TimeSpan.MaxValue.TotalSeconds / 1e6, model.Layers * ((products * times) + (attention * times * times * density))));
    }

    // Seconds; the first run warms up.
    private static double Time(Device device, Action work)
    {
        using var scope = NewDisposeScope();
        work();
        Wait(device);
        var (watch, runs) = (Stopwatch.StartNew(), 0);
        do
        {
            using var inner = NewDisposeScope();
            work();
            Wait(device);
            runs++;
        }
        while (watch.Elapsed < Shortest);
        return watch.Elapsed.TotalSeconds / runs;
    }

    private static void Wait(Device device)
    {
        if (device.type == DeviceType.CUDA)
        {
            cuda.synchronize(device);
        }
    }
}
