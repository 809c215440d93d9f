using NablaGen.Attention;
using NablaGen.Models;
using NablaGen.Models.Streaming;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Jobs.Benchmarks;

/// <summary>What a pass of training is made of, in place of what inference uses.</summary>
/// <param name="Begin">Makes the use of a transformer for latents of a shape, in which passes have a gradient.</param>
/// <param name="Attention">Makes the self-attention of an expression, all steps sparse, for an observer or none.</param>
public sealed record TrainingPass(
    Func<IVideoTransformer, long[], IAttention, ITransformerRun> Begin, Func<AttentionExpression, Device, IAttentionObserver?, IAttention> Attention);

/// <summary>
/// Times one pass through a transformer: what a solver step costs once, or twice with guidance; or a training step, which is a pass and its
/// gradients (an optimiser's step is no matter of attention).
/// </summary>
public static class DitBenchmark
{
    /// <summary>Loads the model, warms up, times.</summary>
    /// <param name="model">The model: see <see cref="RandomTensorSource"/> for one in memory alone.</param>
    /// <param name="latent">Latent frames, rows, columns.</param>
    /// <param name="expressions">What to time.</param>
    /// <param name="options">Where, and in which type.</param>
    /// <param name="repeats">Timed passes; the median counts.</param>
    /// <param name="batch">Videos in a pass: 2 is what guidance is in one batch.</param>
    /// <param name="resident">Layers that stay on the device, the others being streamed; null for all.</param>
    /// <param name="training">What makes a pass differentiable, to time training steps; null times a forward pass alone.</param>
    /// <param name="cancellation">Stops between passes.</param>
    public static IEnumerable<DitTiming> Run(
        VideoModel model, (int Frames, int Height, int Width) latent, IEnumerable<AttentionExpression> expressions, ModuleOptions options,
        int repeats, int batch = 1, int? resident = null, TrainingPass? training = null, CancellationToken cancellation = default)
    {
        using (zeros([1], device: options.Device))
        {
            // The device's context and libraries take memory too, whatever runs.
        }

        var before = ModelTimer.Memory(options.Device);
        using var transformer = model.LoadTransformer(options, resident is { } count ? new LayerPlacement(count, LayerPlacement.DefaultSlots) : null);
        foreach (var parameter in transformer.Module.parameters())
        {
            parameter.requires_grad_(training is not null);
        }

        foreach (var expression in expressions)
        {
            yield return Time(transformer, latent, expression, repeats, batch, training, cancellation) with { BytesBefore = before };
        }
    }

    private static DitTiming Time(
        IVideoTransformer model, (int Frames, int Height, int Width) latent, AttentionExpression expression, int repeats, int batch,
        TrainingPass? training, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        using var gradients = set_grad_enabled(training is not null);
        var (traits, device) = (model.Traits, model.Options.Device);
        var meter = new DensityMeter();
        IAttention Attention(IAttentionObserver? observer) =>
            training?.Attention(expression, device, observer) ?? AttentionFactory.Create(
                expression, device, denseSteps: 0, observer: observer, eightBits: model.Options.EightBitAttention);
        using var counted = Attention(meter);
        using var silent = Attention(null);
        long[] shape = [traits.Channels, latent.Frames, latent.Height, latent.Width];
        var latents = randn([batch, .. shape], device: device);
        using var conditioning = new Conditioning(randn([batch, traits.TextTokens, traits.TextWidth], device: device));
        if (traits.ImageTokens > 0)
        {
            conditioning.Add(Conditioning.Image, randn([batch, traits.ImageTokens, traits.ImageWidth], device: device));
        }

        if (traits.GuideChannels > 0)
        {
            conditioning.Add(Conditioning.Guide, randn([batch, traits.GuideChannels, .. shape[1..]], device: device));
        }

        var time = tensor(Enumerable.Repeat(500L, batch).ToArray()).to(device);
        ITransformerRun Begin(IAttention attention) => training?.Begin(model, shape, attention) ?? model.Begin(shape, attention, cancellation);
        // The warm-up also reads the density, which the timed passes do without.
        using (var warm = Begin(counted))
        {
            Pass(model, warm, latents, time, conditioning, training is not null);
        }

        using var run = Begin(silent);
        Pass(model, run, latents, time, conditioning, training is not null);
        var times = ModelTimer.Run(device, repeats, () => Pass(model, run, latents, time, conditioning, training is not null));
        return new DitTiming(expression.ToString(), run.Layout.Tokens, meter.Mean!.Value, times[repeats / 2], times[0], times[^1], ModelTimer.PeakMemory(device));
    }

    // The prompt's part is in it, as in the first of a run's steps.
    private static void Pass(IVideoTransformer model, ITransformerRun run, Tensor latents, Tensor time, Conditioning conditioning, bool training)
    {
        using var scope = NewDisposeScope();
        using var prompt = run.Prepare(conditioning, keep: false);
        var embedded = run.Embed(latents, time, prompt);
        var velocity = run.RunHead(run.RunLayers(embedded, prompt), embedded);
        if (training)
        {
            velocity.Squared().mean().backward();
            model.Module.zero_grad();
        }
    }
}

/// <summary>The time of one pass through a transformer.</summary>
/// <param name="Attention">The attention expression.</param>
/// <param name="Tokens">Tokens of the video.</param>
/// <param name="Density">The mean density over layers and heads.</param>
/// <param name="Milliseconds">The median.</param>
/// <param name="Fastest">The shortest, in milliseconds.</param>
/// <param name="Slowest">The longest, in milliseconds.</param>
/// <param name="MemoryBytes">Memory in use on the device (all programs'), or the process's peak on the CPU.</param>
public sealed record DitTiming(string Attention, int Tokens, double Density, double Milliseconds, double Fastest, double Slowest, long MemoryBytes)
{
    /// <summary>Of <see cref="MemoryBytes"/> what was in use before there was a model: the device's context, libraries, other programs.</summary>
    public long BytesBefore { get; init; }
}
