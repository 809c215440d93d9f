using System.Diagnostics;
using NablaGen.Attention;
using NablaGen.Denoising;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Jobs.Statistics;

/// <summary>Collects density and time by step, layer and head. Waits for the device once a step.</summary>
/// <param name="layers">Layers of the transformer.</param>
/// <param name="heads">Heads of a layer.</param>
public sealed class DensityStatistics(int layers, int heads) : ISamplingObserver
{
    private readonly List<StepStatistics> _steps = [];
    private readonly Layer[] _layers = [.. Enumerable.Range(0, layers).Select(_ => new Layer())];
    private readonly Stopwatch _watch = new();
    private double? _threshold;
    private double? _skipped;

    /// <summary>The steps done so far.</summary>
    public IReadOnlyList<StepStatistics> Steps => _steps;

    /// <summary>The mean density over all steps, layers and heads; null before the first step is done.</summary>
    public double? Mean => Computed.Any() ? Computed.Average(step => step.Density) : null;

    /// <summary>The steps done so far that the step cache has not skipped.</summary>
    public IEnumerable<StepStatistics> Computed => _steps.Where(step => !step.IsSkipped);

    /// <inheritdoc/>
    public void OnStart() => _watch.Restart();

    /// <inheritdoc/>
    public void OnThreshold(int step, double threshold) => _threshold = threshold;

    /// <inheritdoc/>
    public void OnSkipped(int step, double error) => _skipped = error;

    /// <inheritdoc/>
    public void OnDense(AttentionSite site) => _layers[site.Layer].DensePasses++;

    /// <inheritdoc/>
    public void OnSparse(AttentionSite site, IKeptBlocks kept) => _layers[site.Layer].Sparse.Add(kept.Statistics);

    /// <inheritdoc/>
    public void OnStep(int step, Tensor latents)
    {
        if (latents.device_type == DeviceType.CUDA)
        {
            cuda.synchronize(latents.device);
        }

        var seconds = _watch.Elapsed.TotalSeconds;
        _watch.Restart();
        _steps.Add(_skipped is null
            ? new StepStatistics(step, seconds, _threshold, [.. _layers.Select(layer => layer.Take(heads))])
            : new StepStatistics(step, seconds, _threshold, []) { SkipError = _skipped });
        _skipped = null;
    }

    // What one layer did in the step in work.
    private sealed class Layer
    {
        public int DensePasses { get; set; }

        public List<Lazy<KeptStatistics>> Sparse { get; } = [];

        public LayerStatistics Take(int heads)
        {
            var sparse = Sparse.Select(statistics => statistics.Value).ToArray();
            double ops = DensePasses + sparse.Length;
            var densities = Enumerable.Range(0, heads)
                .Select(head => (DensePasses + sparse.Sum(pass => pass.HeadDensities[head])) / ops)
                .ToArray();
            DensePasses = 0;
            Sparse.Clear();
            return sparse.Length == 0
                ? new LayerStatistics(densities, null, null)
                : new LayerStatistics(densities, sparse.Sum(pass => pass.MaskSeconds), sparse.Sum(pass => pass.AttentionSeconds));
        }
    }
}

/// <summary>One layer's attention in one step; of a guided step the mean of both passes' densities and the sum of their times.</summary>
/// <param name="HeadDensities">By head, the share of block pairs that were kept: 1 in a dense layer.</param>
/// <param name="MaskSeconds">Time spent finding the blocks; null in a dense layer.</param>
/// <param name="AttentionSeconds">Time spent attending over them; null in a dense layer.</param>
public sealed record LayerStatistics(IReadOnlyList<double> HeadDensities, double? MaskSeconds, double? AttentionSeconds)
{
    /// <summary>The mean over the heads.</summary>
    public double Density => HeadDensities.Average();

    /// <summary>The mask's share of the sparse attention's time, 0 to 1; null in a dense layer.</summary>
    public double? MaskShare => MaskSeconds / (MaskSeconds + AttentionSeconds);
}

/// <summary>One solver step.</summary>
/// <param name="Step">The step, from 0.</param>
/// <param name="Seconds">The whole step's time, all layers and both passes.</param>
/// <param name="Threshold">NABLA's threshold where it was adapted to a target density; null where it was the expression's.</param>
/// <param name="Layers">By layer; none in a step that the step cache skipped.</param>
public sealed record StepStatistics(int Step, double Seconds, double? Threshold, IReadOnlyList<LayerStatistics> Layers)
{
    /// <summary>The error that the step cache estimates, if it skipped the step.</summary>
    public double? SkipError { get; init; }

    /// <summary>Whether the step cache skipped the step.</summary>
    public bool IsSkipped => SkipError is not null;

    /// <summary>The mean over layers and heads of a step that was computed.</summary>
    public double Density => Layers.Average(layer => layer.Density);

    /// <summary>The share of the step's time that went into finding blocks, 0 to 1.</summary>
    public double MaskShare => Layers.Sum(layer => layer.MaskSeconds ?? 0) / Seconds;
}
