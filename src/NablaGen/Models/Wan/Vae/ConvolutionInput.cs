using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Vae;

/// <summary>
/// What a causal convolution reads: the frames before a chunk and the chunk's, in one tensor for libtorch, each by itself for our own
/// kernel, which spares their copy. Disposing of it leaves the cache what it keeps.
/// </summary>
internal sealed class ConvolutionInput : IDisposable
{
    private readonly FeatureCache? _cache;
    private IReadOnlyList<Tensor> _rented;

    private ConvolutionInput(Tensor? joined, IReadOnlyList<Tensor> frames, long missing, FeatureCache? cache, IReadOnlyList<Tensor> rented) =>
        (Joined, Frames, Missing, _cache, _rented) = (joined, frames, missing, cache, rented);

    /// <summary>All frames in one tensor; null where they are by themselves. [B, C, T, H, W]</summary>
    public Tensor? Joined { get; }

    /// <summary>The frames, in order. [B, C, 1, H, W] each</summary>
    public IReadOnlyList<Tensor> Frames { get; }

    /// <summary>Frames of zeros before <see cref="Frames"/>.</summary>
    public long Missing { get; }

    /// <summary>Takes a tensor over.</summary>
    public static ConvolutionInput Of(Tensor joined) => new(joined.DetachFromDisposeScope(), [], 0, null, []);

    /// <summary>Takes frames over.</summary>
    public static ConvolutionInput Of(IEnumerable<Tensor> frames, long missing) => new(null, [.. frames.Select(frame => frame.DetachFromDisposeScope())], missing, null, []);

    /// <summary>Frames that are a cache's.</summary>
    /// <param name="frames">The frames.</param>
    /// <param name="missing">Frames of zeros before them.</param>
    /// <param name="cache">Whose they are.</param>
    /// <param name="rented">Those of them that it gets back afterwards: it keeps the others.</param>
    public static ConvolutionInput Of(IReadOnlyList<Tensor> frames, long missing, FeatureCache cache, IReadOnlyList<Tensor> rented) =>
        new(null, frames, missing, cache, rented);

    /// <inheritdoc/>
    public void Dispose()
    {
        Joined?.Dispose();
        if (_cache is not null)
        {
            foreach (var frame in _rented)
            {
                _cache.GiveBack(frame);
            }

            _rented = [];
            return;
        }

        foreach (var frame in Frames)
        {
            frame.Dispose();
        }
    }
}
