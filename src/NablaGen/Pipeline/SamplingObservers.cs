using NablaGen.Attention;
using static TorchSharp.torch;

namespace NablaGen.Pipeline;

/// <summary>Tells the density meter, then another observer, then the progress.</summary>
internal sealed class SamplingObservers(DensityMeter meter, ISamplingObserver? other, Action<int> onStep) : ISamplingObserver
{
    public void OnDense(AttentionSite site)
    {
        meter.OnDense(site);
        other?.OnDense(site);
    }

    public void OnSparse(AttentionSite site, IKeptBlocks kept)
    {
        meter.OnSparse(site, kept);
        other?.OnSparse(site, kept);
    }

    public void OnStep(int step, Tensor latents)
    {
        other?.OnStep(step, latents);
        onStep(step);
    }
}
