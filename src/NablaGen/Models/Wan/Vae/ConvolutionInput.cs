using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Vae;

/// <summary>
/// What a causal convolution reads: the frames before a chunk and the chunk's, in one tensor for libtorch, each by itself for our own
/// kernel, which spares their copy. Disposing of it leaves the cache what it keeps.
/// </summary>
internal sealed class ConvolutionInput : IDisposable
{
    private readonly bool _isAnothers;
    private Action? _read;

    private ConvolutionInput(Tensor? joined, IReadOnlyList<Tensor> frames, long missing, Action? read = null) =>
        (Joined, Frames, Missing, _read, _isAnothers) = (joined, frames, missing, read, read is not null);

    /// <summary>All frames in one tensor; null where they are by themselves. [B, C, T, H, W]</summary>
    public Tensor? Joined { get; }

    /// <summary>The frames, in order. [B, C, 1, H, W] each</summary>
    public IReadOnlyList<Tensor> Frames { get; }

    /// <summary>Frames of zeros before <see cref="Frames"/>.</summary>
    public long Missing { get; }

    /// <summary>Takes a tensor over.</summary>
    public static ConvolutionInput Of(Tensor joined) => new(joined.DetachFromDisposeScope(), [], 0);

    /// <summary>Takes frames over.</summary>
    public static ConvolutionInput Of(IEnumerable<Tensor> frames, long missing) => new(null, [.. frames.Select(frame => frame.DetachFromDisposeScope())], missing);

    /// <summary>Frames that are a cache's.</summary>
    /// <param name="frames">The frames.</param>
    /// <param name="missing">Frames of zeros before them.</param>
    /// <param name="read">Called once when they have been read, in place of disposing of them.</param>
    public static ConvolutionInput Of(IReadOnlyList<Tensor> frames, long missing, Action read) => new(null, frames, missing, read);

    /// <inheritdoc/>
    public void Dispose()
    {
        Joined?.Dispose();
        if (_isAnothers)
        {
            var read = _read;
            _read = null;
            read?.Invoke();
            return;
        }

        foreach (var frame in Frames)
        {
            frame.Dispose();
        }
    }
}
