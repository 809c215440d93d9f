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

    /// <summary>The steps done so far.</summary>
    public IReadOnlyList<StepStatistics> Steps => _steps;

    /// <summary>The mean density over all steps, layers and heads; null before the first step is done.</summary>
    public double? Mean => _steps.Count == 0 ? null : _steps.Average(step => step.Density);

    /// <inheritdoc/>
    public void OnStart() => _watch.Restart();

    /// <inheritdoc/>
    public void OnThreshold(int step, double threshold) => _threshold = threshold;

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
        _steps.Add(new StepStatistics(step, seconds, _threshold, [.. _layers.Select(layer => layer.Take(heads))]));
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
