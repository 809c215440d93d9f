using NablaGen.Attention;
using static TorchSharp.torch;

namespace NablaGen.Denoising;

/// <summary>Several observers as one, called in order.</summary>
/// <param name="observers">Those to tell; nulls are left out.</param>
public sealed class SamplingObservers(params IReadOnlyList<ISamplingObserver?> observers) : ISamplingObserver
{
    private readonly ISamplingObserver[] _observers = [.. observers.OfType<ISamplingObserver>()];

    /// <inheritdoc/>
    public void OnStart()
    {
        foreach (var observer in _observers)
        {
            observer.OnStart();
        }
    }

    /// <inheritdoc/>
    public void OnDense(AttentionSite site)
    {
        foreach (var observer in _observers)
        {
            observer.OnDense(site);
        }
    }

    /// <inheritdoc/>
    public void OnSparse(AttentionSite site, IKeptBlocks kept)
    {
        foreach (var observer in _observers)
        {
            observer.OnSparse(site, kept);
        }
    }

    /// <inheritdoc/>
    public void OnThreshold(int step, double threshold)
    {
        foreach (var observer in _observers)
        {
            observer.OnThreshold(step, threshold);
        }
    }

    /// <inheritdoc/>
    public void OnSkipped(int step, double error)
    {
        foreach (var observer in _observers)
        {
            observer.OnSkipped(step, error);
        }
    }

    /// <inheritdoc/>
    public void OnPrediction(int step, Tensor clean)
    {
        foreach (var observer in _observers)
        {
            observer.OnPrediction(step, clean);
        }
    }

    /// <inheritdoc/>
    public void OnStep(int step, Tensor latents)
    {
        foreach (var observer in _observers)
        {
            observer.OnStep(step, latents);
        }
    }

    /// <inheritdoc/>
    public void OnEnd()
    {
        foreach (var observer in _observers)
        {
            observer.OnEnd();
        }
    }
}
