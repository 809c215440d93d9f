using NablaGen.Attention;
using NablaGen.Memory;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Dit.Ops;
using NablaGen.Models.Wan.Dit.Streaming;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Jobs.Benchmarks;

/// <summary>
/// Times one pass through a transformer of random weights: what a solver step costs once, or twice with guidance; or a training step, which
/// is a pass and its gradients (an optimiser's step is no matter of attention).
/// </summary>
public static class DitBenchmark
{
    private const double WeightScale = 0.02;

    /// <summary>Makes the model, warms up, times.</summary>
    /// <param name="config">The transformer's sizes.</param>
    /// <param name="latent">Latent frames, rows, columns.</param>
    /// <param name="expressions">What to time.</param>
    /// <param name="options">Where, and in which type.</param>
    /// <param name="repeats">Timed passes; the median counts.</param>
    /// <param name="batch">Videos in a pass: 2 is what guidance is in one batch.</param>
    /// <param name="resident">Blocks that stay on the device, the others being streamed; null for all.</param>
    /// <param name="training">Makes passes with a gradient, to time training steps; null times a forward pass alone.</param>
    /// <param name="cancellation">Stops between passes.</param>
    public static IEnumerable<DitTiming> Run(
        DitConfig config, (int Frames, int Height, int Width) latent, IEnumerable<AttentionExpression> expressions, ModuleOptions options,
        int repeats, int batch = 1, int? resident = null, Func<IDitOps>? training = null, CancellationToken cancellation = default)
    {
        using (zeros([1], device: options.Device))
        {
            // The device's context and libraries take memory too, whatever runs.
        }

        var before = ModelTimer.Memory(options.Device);
        using var model = new WanModel(config, options, resident is { } count
            ? LayerStreamer.Create(config, options, count, MemoryPlanner.Slots, (_, block) => Randomise(block, false))
            : null);
        Randomise(model, training is not null);
        foreach (var expression in expressions)
        {
            yield return Time(model, latent, expression, options, repeats, batch, training, cancellation) with { BytesBefore = before };
        }
    }

    private static void Randomise(nn.Module module, bool trained)
    {
        using var noGrad = no_grad();
        foreach (var parameter in module.parameters())
        {
            parameter.normal_(0, WeightScale);
            parameter.requires_grad_(trained);
        }
    }

    private static DitTiming Time(
        WanModel model, (int Frames, int Height, int Width) latent, AttentionExpression expression, ModuleOptions options, int repeats,
        int batch, Func<IDitOps>? training, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        using var gradients = set_grad_enabled(training is not null);
        var config = model.Config;
        var meter = new DensityMeter();
        using var counted = AttentionFactory.Create(expression, options.Device, denseSteps: 0, observer: meter);
        using var silent = AttentionFactory.Create(expression, options.Device, denseSteps: 0);
        var latents = randn([batch, config.InDim, latent.Frames, latent.Height, latent.Width], device: options.Device);
        var context = randn([batch, config.TextLen, config.TextDim], device: options.Device);
        var t = tensor(Enumerable.Repeat(500L, batch).ToArray()).to(options.Device);

        // The warm-up also reads the density, which the timed passes do without.
        using (var warm = new DitRun(config, latent.Frames, latent.Height, latent.Width, counted, options, training?.Invoke()))
        {
            Pass(model, latents, t, context, warm, training is not null);
        }

        using var run = new DitRun(config, latent.Frames, latent.Height, latent.Width, silent, options, training?.Invoke()) { Cancellation = cancellation };
        Pass(model, latents, t, context, run, training is not null);
        var times = ModelTimer.Run(options.Device, repeats, () => Pass(model, latents, t, context, run, training is not null));
        return new DitTiming(expression.ToString(), run.Layout.Tokens, meter.Mean!.Value, times[repeats / 2], times[0], times[^1], ModelTimer.PeakMemory(options.Device));
    }

    private static void Pass(WanModel model, Tensor latents, Tensor t, Tensor context, DitRun run, bool training)
    {
        using var scope = NewDisposeScope();
        var velocity = model.forward(latents, t, context, run);
        if (training)
        {
            velocity.square().mean().backward();
            model.zero_grad();
        }
    }
}
