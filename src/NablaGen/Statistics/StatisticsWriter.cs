using NablaGen.Attention;
using NablaGen.Pipeline;
using static TorchSharp.torch;

namespace NablaGen.Statistics;

/// <summary>Collects a run's statistics and writes them to a file when sampling ends, before decoding.</summary>
/// <param name="path">A .csv or .json: see <see cref="StatisticsFile"/>.</param>
/// <param name="statistics">What collects.</param>
/// <param name="recipe">What is made; asked for when the file is written.</param>
public sealed class StatisticsWriter(string path, DensityStatistics statistics, Func<Recipe> recipe) : ISamplingObserver
{
    /// <inheritdoc/>
    public void OnStart() => statistics.OnStart();

    /// <inheritdoc/>
    public void OnThreshold(int step, double threshold) => statistics.OnThreshold(step, threshold);

    /// <inheritdoc/>
    public void OnDense(AttentionSite site) => statistics.OnDense(site);

    /// <inheritdoc/>
    public void OnSparse(AttentionSite site, IKeptBlocks kept) => statistics.OnSparse(site, kept);

    /// <inheritdoc/>
    public void OnStep(int step, Tensor latents) => statistics.OnStep(step, latents);

    /// <inheritdoc/>
    public void OnEnd()
    {
        var thresholds = statistics.Steps.Select(step => step.Threshold).OfType<double>().ToArray();
        StatisticsFile.Save(path, statistics.Steps, thresholds.Length == 0 ? recipe() : recipe() with { Thresholds = thresholds });
    }
}
