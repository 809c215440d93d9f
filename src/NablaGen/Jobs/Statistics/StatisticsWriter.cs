using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Files;
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
    public void OnStart() => Try(statistics.OnStart);

    /// <inheritdoc/>
    public void OnThreshold(int step, double threshold) => Try(() => statistics.OnThreshold(step, threshold));

    /// <inheritdoc/>
    public void OnSkipped(int step, double error) => Try(() => statistics.OnSkipped(step, error));

    /// <inheritdoc/>
    public void OnDense(AttentionSite site) => Try(() => statistics.OnDense(site));

    /// <inheritdoc/>
    public void OnSparse(AttentionSite site, IKeptBlocks kept) => Try(() => statistics.OnSparse(site, kept));

    /// <inheritdoc/>
    public void OnStep(int step, Tensor latents) => Try(() => statistics.OnStep(step, latents));

    /// <inheritdoc/>
    public void OnEnd() => Try(() =>
    {
        var thresholds = statistics.Steps.Select(step => step.Threshold).OfType<double>().ToArray();
        StatisticsFile.Save(path, statistics.Steps, thresholds.Length == 0 ? recipe() : recipe() with { Thresholds = thresholds });
    });

    // Whatever happens to the statistics, the video is made; then the run says that they are missing.
    private void Try(Action work)
    {
        if (Failure is not null)
        {
            return;
        }

        try
        {
            work();
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            Failure = error as NablaGenException ?? new NablaGenException(Line.Of($"{path}: no statistics: {error.Message.Split('\n')[0]}"), error);
        }
    }
}
