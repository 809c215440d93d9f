using NablaGen.Attention;
using NablaGen.Denoising;
using static TorchSharp.torch;

namespace NablaGen.Training.Evaluation.Generation;

/// <summary>The mean density of each video of a batch, where a dense layer counts as 1, and the steps that were computed.</summary>
/// <param name="clips">Videos of the batch.</param>
/// <param name="heads">Heads of a layer.</param>
internal sealed class ClipDensities(int clips, int heads) : ISamplingObserver
{
    private readonly List<Lazy<KeptStatistics>> _sparse = [];
    private int _dense;
    private int _steps;
    private int _skipped;

    /// <summary>Steps that were computed so far.</summary>
    public int ComputedSteps => _steps - _skipped;

    public void OnDense(AttentionSite site) => _dense++;

    public void OnSparse(AttentionSite site, IKeptBlocks kept) => _sparse.Add(kept.Statistics);

    public void OnSkipped(int step, double error) => _skipped++;

    public void OnStep(int step, Tensor latents) => _steps++;

    /// <summary>By video, once sampling is done.</summary>
    public double[] ByClip()
    {
        var sums = Enumerable.Repeat((double)_dense, clips).ToArray();
        foreach (var statistics in _sparse)
        {
            // With guidance in one batch there are twice as many rows, those with the prompt first.
            var densities = statistics.Value.HeadDensities;
            for (int head = 0; head < densities.Count; head++)
            {
                sums[head / heads % clips] += densities[head] * clips / densities.Count;
            }
        }

        return [.. sums.Select(sum => sum / (_dense + _sparse.Count))];
    }
}
