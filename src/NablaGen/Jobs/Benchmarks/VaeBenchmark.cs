using System.Text.Json.Serialization;
using NablaGen.Models;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Jobs.Benchmarks;

/// <summary>Times the decoding or encoding of a video by a VAE of random weights, and says what its type costs a decode in likeness.</summary>
public static class VaeBenchmark
{
    /// <summary>Makes the model, warms up, times.</summary>
    /// <param name="config">The VAE's sizes.</param>
    /// <param name="size">Frames, rows and columns of the video.</param>
    /// <param name="options">Where, and in which type.</param>
    /// <param name="tiling">How the decode is cut up.</param>
    /// <param name="repeats">Timed decodes; the median counts.</param>
    /// <param name="psnr">Whether to compare with whole frames in float32.</param>
    /// <param name="cancellation">Stops between latent frames.</param>
    public static VaeTiming Run(
        VaeConfig config, (int Frames, int Height, int Width) size, ModuleOptions options, VaeTiling tiling, int repeats, bool psnr,
        CancellationToken cancellation = default)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        manual_seed(1);
        // Drawn on the CPU, so that they take nothing of the device's memory, which is measured.
        using var weights = new WanVae(config, ModuleOptions.Cpu);
        RandomWeights.Fill(weights);
        using var latents = randn([
            1, config.ZDim, (size.Frames - 1) / config.TemporalStride + 1, size.Height / config.SpatialStride, size.Width / config.SpatialStride]);
        var frames = new List<Tensor>();
        double[] times;
        using (var model = Copy(weights, options))
        {
            void Decode(Action<Tensor> onFrames) => model.Decode(latents.to(options.Device), onFrames, tiling, cancellation);
            Decode(chunk =>
            {
                if (psnr)
                {
                    frames.Add(chunk.cpu().MoveToOtherDisposeScope(scope));
                }
            });
            times = ModelTimer.Run(options.Device, repeats, () => Decode(chunk => chunk.cpu().Dispose()));
        }

        var memory = ModelTimer.PeakMemory(options.Device);
        var estimate = VaeMemory.Estimate(config, size.Frames, size.Height, size.Width, options.Dtype, tiling, CudaDevices.ConvolvesFramesApart(options.Device, options.Dtype));
        return new VaeTiming(
            size.Frames, size.Height, size.Width, options.Dtype.ToString().ToLowerInvariant(), times[repeats / 2] / 1e3, times[0] / 1e3,
            times[^1] / 1e3, memory, estimate, psnr ? Likeness(weights, latents, frames, options, cancellation) : null);
    }

    /// <summary>The same for the encoding of a video, which waits in the host's memory.</summary>
    /// <param name="config">The VAE's sizes.</param>
    /// <param name="size">Frames, rows and columns of the video.</param>
    /// <param name="options">Where, and in which type.</param>
    /// <param name="tiling">How the encoding is cut up.</param>
    /// <param name="repeats">Timed encodings; the median counts.</param>
    /// <param name="cancellation">Stops between latent frames.</param>
    public static VaeTiming RunEncoding(
        VaeConfig config, (int Frames, int Height, int Width) size, ModuleOptions options, VaeTiling tiling, int repeats, CancellationToken cancellation = default)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        manual_seed(1);
        using var weights = new WanVae(config, ModuleOptions.Cpu);
        RandomWeights.Fill(weights);
        using var video = zeros([1, 3, size.Frames, size.Height, size.Width]);
        video.narrow(2, 0, 1).uniform_(-1, 1);
        double[] times;
        using (var model = Copy(weights, options))
        {
            void Encode() => model.Encode(video, tiling, cancellation).cpu().Dispose();
            Encode();
            times = ModelTimer.Run(options.Device, repeats, Encode);
        }

        return new VaeTiming(
            size.Frames, size.Height, size.Width, options.Dtype.ToString().ToLowerInvariant(), times[repeats / 2] / 1e3, times[0] / 1e3, times[^1] / 1e3,
            ModelTimer.PeakMemory(options.Device), VaeMemory.EstimateEncoding(config, size.Frames, size.Height, size.Width, options.Dtype, tiling, CudaDevices.ConvolvesFramesApart(options.Device, options.Dtype)), null);
    }

    private static double Likeness(
        WanVae weights, Tensor latents, List<Tensor> frames, ModuleOptions options, CancellationToken cancellation)
    {
        using var exact = Copy(weights, options.Float32);
        var (squares, elements, next) = (0.0, 0L, 0);
        exact.Decode(latents.to(options.Device), chunk =>
        {
            squares += TensorPsnr.MeanSquare(chunk, frames[next++]) * chunk.NumberOfElements;
            elements += chunk.NumberOfElements;
        }, cancellation: cancellation);
        return TensorPsnr.FromMeanSquare(squares / elements);
    }

    private static WanVae Copy(WanVae weights, ModuleOptions options)
    {
        // No scope here: parameters made in one die with it.
        var model = new WanVae(weights.Config, options);
        foreach (var (to, from) in model.parameters().Zip(weights.parameters()))
        {
            to.copy_(from);
        }

        return model;
    }
}

/// <summary>The time of decoding or encoding a video.</summary>
/// <param name="Frames">Frames of the video.</param>
/// <param name="Height">Rows.</param>
/// <param name="Width">Columns.</param>
/// <param name="Dtype">The type of weights and activations.</param>
/// <param name="Seconds">The median, the frames' way to the CPU included.</param>
/// <param name="Fastest">The shortest, in seconds.</param>
/// <param name="Slowest">The longest, in seconds.</param>
/// <param name="MemoryBytes">Memory in use on the device (all programs'), or the process's peak on the CPU.</param>
/// <param name="EstimatedBytes">What <see cref="VaeMemory"/> expects of the tensors alone.</param>
/// <param name="Psnr">To the same decode in float32, in decibels; null if it was not asked for. Infinite for equal frames.</param>
public sealed record VaeTiming(
    int Frames, int Height, int Width, string Dtype, double Seconds, double Fastest, double Slowest, long MemoryBytes, long EstimatedBytes,
    [property: JsonNumberHandling(JsonNumberHandling.AllowNamedFloatingPointLiterals)] double? Psnr);
