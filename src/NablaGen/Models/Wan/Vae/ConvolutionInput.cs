using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Vae;

/// <summary>
/// What a causal convolution reads: the frames before a chunk and the chunk's, in one tensor for libtorch, each by itself for our own
/// kernel, which spares their copy. Disposing of it leaves the cache what it keeps.
/// </summary>
internal sealed class ConvolutionInput : IDisposable
{
    private Action? _release;

    private ConvolutionInput(Tensor? joined, IReadOnlyList<Tensor> frames, long missing, Action release) =>
        (Joined, Frames, Missing, _release) = (joined, frames, missing, release);

    /// <summary>All frames in one tensor; null where they are by themselves. [B, C, T, H, W]</summary>
    public Tensor? Joined { get; }

    /// <summary>The frames, in order. [B, C, 1, H, W] each</summary>
    public IReadOnlyList<Tensor> Frames { get; }

    /// <summary>Frames of zeros before <see cref="Frames"/>.</summary>
    public long Missing { get; }

    /// <summary>Takes a tensor over.</summary>
    public static ConvolutionInput Of(Tensor joined) => new(joined.DetachFromDisposeScope(), [], 0, joined.Dispose);

    /// <summary>Takes frames over.</summary>
    public static ConvolutionInput Of(IEnumerable<Tensor> frames, long missing)
    {
        Tensor[] taken = [.. frames.Select(frame => frame.DetachFromDisposeScope())];
        return new(null, taken, missing, () => Array.ForEach(taken, frame => frame.Dispose()));
    }

    /// <summary>Frames that are a cache's.</summary>
    /// <param name="frames">The frames.</param>
    /// <param name="missing">Frames of zeros before them.</param>
    /// <param name="release">Called once when they have been read, in place of disposing of them.</param>
    public static ConvolutionInput Of(IReadOnlyList<Tensor> frames, long missing, Action release) => new(null, frames, missing, release);

    /// <inheritdoc/>
    public void Dispose()
    {
        var release = _release;
        _release = null;
        release?.Invoke();
    }
}
