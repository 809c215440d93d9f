using NablaGen.Attention;
using static TorchSharp.torch;

namespace NablaGen.Denoising;

/// <summary>An observer that is told nothing of a pass that is no part of the run.</summary>
/// <param name="observer">The observer.</param>
internal sealed class MutedObserver(ISamplingObserver observer) : ISamplingObserver
{
    /// <summary>Whether it is told nothing.</summary>
    public bool IsMuted { get; set; }

    /// <inheritdoc/>
    public void OnStart() => observer.OnStart();

    /// <inheritdoc/>
    public void OnDense(AttentionSite site)
    {
        if (!IsMuted)
        {
            observer.OnDense(site);
        }
    }

    /// <inheritdoc/>
    public void OnSparse(AttentionSite site, IKeptBlocks kept)
    {
        if (!IsMuted)
        {
            observer.OnSparse(site, kept);
        }
    }

    /// <inheritdoc/>
    public void OnThreshold(int step, double threshold) => observer.OnThreshold(step, threshold);

    /// <inheritdoc/>
    public void OnSkipped(int step, double error) => observer.OnSkipped(step, error);

    /// <inheritdoc/>
    public void OnPrediction(int step, Tensor clean) => observer.OnPrediction(step, clean);

    /// <inheritdoc/>
    public void OnStep(int step, Tensor latents) => observer.OnStep(step, latents);

    /// <inheritdoc/>
    public void OnEnd() => observer.OnEnd();
}
