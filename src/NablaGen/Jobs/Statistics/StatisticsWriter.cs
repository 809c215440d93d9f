using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Generation;
using static TorchSharp.torch;

namespace NablaGen.Jobs.Statistics;

/// <summary>
/// Collects a run's statistics and writes them to a file when sampling ends, before decoding. A file that cannot be written does not stop
/// the run.
/// </summary>
/// <param name="path">A .csv or .json: see <see cref="StatisticsFile"/>.</param>
/// <param name="statistics">What collects.</param>
/// <param name="recipe">What is made; asked for when the file is written.</param>
public sealed class StatisticsWriter(string path, DensityStatistics statistics, Func<Recipe> recipe) : ISamplingObserver
{
    /// <summary>Why the file could not be written; null where it could.</summary>
    public NablaGenException? Failure { get; private set; }

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
        try
        {
            StatisticsFile.Save(path, statistics.Steps, thresholds.Length == 0 ? recipe() : recipe() with { Thresholds = thresholds });
        }
        catch (NablaGenException failure)
        {
            Failure = failure;
        }
    }
}
