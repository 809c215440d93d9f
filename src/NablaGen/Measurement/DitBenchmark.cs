using System.Diagnostics;
using NablaGen.Attention;
using NablaGen.Models;
using NablaGen.Models.Dit;
using NablaGen.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Measurement;

/// <summary>Times one pass through a transformer of random weights: what a solver step costs once, or twice with guidance.</summary>
public static class DitBenchmark
{
    private const double WeightScale = 0.02;

    /// <summary>Makes the model, warms up, times.</summary>
    /// <param name="config">The transformer's sizes.</param>
    /// <param name="latent">Latent frames, rows, columns.</param>
    /// <param name="expressions">What to time.</param>
    /// <param name="options">Where, and in which type.</param>
    /// <param name="repeats">Timed passes; the median counts.</param>
    /// <param name="cancellation">Stops between passes.</param>
    public static IEnumerable<DitTiming> Run(
        DitConfig config, (int Frames, int Height, int Width) latent, IEnumerable<AttentionExpression> expressions, ModuleOptions options,
        int repeats, CancellationToken cancellation = default)
    {
        using var noGrad = no_grad();
        using var model = new WanModel(config, options);
        foreach (var parameter in model.parameters())
        {
            parameter.normal_(0, WeightScale);
        }

        foreach (var expression in expressions)
        {
            yield return Time(model, latent, expression, options, repeats, cancellation);
        }
    }

    private static DitTiming Time(
        WanModel model, (int Frames, int Height, int Width) latent, AttentionExpression expression, ModuleOptions options, int repeats,
        CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        var config = model.Config;
        var meter = new DensityMeter();
        using var counted = AttentionFactory.Create(expression, options.Device, denseSteps: 0, observer: meter);
        using var silent = AttentionFactory.Create(expression, options.Device, denseSteps: 0);
        var latents = randn([1, config.InDim, latent.Frames, latent.Height, latent.Width], device: options.Device);
        var context = randn([1, config.TextLen, config.TextDim], device: options.Device);
        var t = tensor(new[] { 500L }).to(options.Device);

        // The warm-up also reads the density, which the timed passes do without.
        using (var warm = new DitRun(config, latent.Frames, latent.Height, latent.Width, counted, options))
        {
            model.forward(latents, t, context, warm).Dispose();
        }

        using var run = new DitRun(config, latent.Frames, latent.Height, latent.Width, silent, options) { Cancellation = cancellation };
        model.forward(latents, t, context, run).Dispose();
        var times = new double[repeats];
        for (var i = 0; i < repeats; i++)
        {
            Wait(options.Device);
            var watch = Stopwatch.StartNew();
            model.forward(latents, t, context, run).Dispose();
            Wait(options.Device);
            times[i] = watch.Elapsed.TotalMilliseconds;
        }

        Array.Sort(times);
        return new DitTiming(expression.ToString(), run.Layout.Tokens, meter.Mean!.Value, times[repeats / 2], times[0], times[^1], MemoryInUse(options.Device));
    }

    private static void Wait(Device device)
    {
        if (device.type == DeviceType.CUDA)
        {
            cuda.synchronize(device);
        }
    }

    // On CUDA what libtorch's allocator has taken from the device, which it does not give back: the peak so far.
    private static long MemoryInUse(Device device)
    {
        if (device.type == DeviceType.CUDA)
        {
            var (free, total) = CudaDevices.Open(device).Memory();
            return total - free;
        }

        using var process = Process.GetCurrentProcess();
        return process.PeakWorkingSet64;
    }
}
