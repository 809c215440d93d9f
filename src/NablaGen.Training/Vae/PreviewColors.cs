using NablaGen.Jobs.Previews;
using NablaGen.Tensors;
using NablaGen.Training.Models;
using NablaGen.Training.World;
using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Training.Vae;

/// <summary>Gives a model folder the colours of its previews, fitted to clips of a world of their own and measured on those of another.</summary>
public static class PreviewColors
{
    private const ulong FitSeed = 0xC0105, MeasureSeed = 0xC0106;

    /// <summary>Fits the colours, measures them, and writes them into the folder's <c>nablagen.json</c>.</summary>
    /// <param name="folder">The folder, of which sizes and VAE are enough.</param>
    /// <param name="size">The clips' size.</param>
    /// <param name="clips">Clips to fit, at least 1.</param>
    /// <param name="measured">Clips to measure on, at least 1.</param>
    /// <param name="device">Where to work.</param>
    /// <param name="cancellation">Stops between two clips.</param>
    /// <exception cref="NablaGenException">A file of the folder is missing or bad, a number or the size is wrong, or the file cannot be written.</exception>
    public static PreviewQuality Fit(string folder, ClipSize size, int clips, int measured, Device device, CancellationToken cancellation = default)
    {
        if (clips < 1 || measured < 1)
        {
            throw new InvalidRequestException($"the clips to fit and to measure on must be 1 or more, found {Math.Min(clips, measured)}");
        }

        var model = ModelSizes.Open(folder);
        var config = model.Others.Vae;
        var (spatial, temporal) = (config.SpatialStride, config.TemporalStride);
        if (size.Width % spatial != 0 || size.Height % spatial != 0 || size.Frames <= temporal || (size.Frames - 1) % temporal != 0)
        {
            throw new InvalidRequestException(
                $"size {size}: expected width and height to be multiples of {spatial} and frames {temporal}n + 1, at least {temporal + 1}");
        }

        using var vae = ModelFiles.LoadVae(folder, config, new ModuleOptions(device, ScalarType.Float32));
        using var shown = new ShapeWorld(WorldSplit.All, FitSeed);
        var hard = new HardClips(shown);
        var map = LatentColorFit.Fit(
            vae, ModelHash.Compute([ModelFiles.Vae(folder)], cancellation), Enumerable.Range(0, clips).Select(i => hard.Next(i, 1, size, device)), cancellation);

        using var unseen = new ShapeWorld(WorldSplit.All, MeasureSeed);
        var others = new HardClips(unseen);
        var (colors, psnr) = (LatentColors.Of(map), new List<double>());
        for (var i = 0; i < measured; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            using var clip = others.Next(i, 1, size, device);
            psnr.Add(PreviewMeter.Measure(colors, vae, clip.Frames));
            NativeHeap.Collect();
        }

        (model with { Others = model.Others with { Preview = map } }).Save(folder);
        return new PreviewQuality(psnr.Average(), psnr.Min());
    }
}

/// <summary>How near previews come to the decoded video at half its size, in dB.</summary>
/// <param name="Mean">The mean over the clips.</param>
/// <param name="WorstClip">The lowest of a clip.</param>
public sealed record PreviewQuality(double Mean, double WorstClip);
