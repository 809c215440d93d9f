using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Vae;

/// <summary>
/// What a causal convolution reads: the frames before a chunk and the chunk's, in one tensor for libtorch, each by itself for our own
/// kernel, which spares their copy. Disposing of it leaves the cache what it keeps.
/// </summary>
internal sealed class ConvolutionInput : IDisposable
{
    private ConvolutionInput(Tensor? joined, IReadOnlyList<Tensor> frames, long missing) => (Joined, Frames, Missing) = (joined, frames, missing);

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

    /// <inheritdoc/>
    public void Dispose()
    {
        Joined?.Dispose();
        foreach (var frame in Frames)
        {
            frame.Dispose();
        }
    }
}
