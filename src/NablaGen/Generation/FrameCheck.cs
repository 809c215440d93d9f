using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Generation;

/// <summary>Checks decoded frames for NaN and infinity, and for frames of a single colour.</summary>
/// <param name="what">What decoded them, for the message.</param>
internal sealed class FrameCheck(string what)
{
    // In [−1, 1], of which a byte's step is 2 / 255: so little that the frame would be one colour as bytes, or two neighbouring ones.
    private const float FlatRange = 1f / 255;

    private readonly List<int> _flat = [];

    /// <summary>Frames seen so far.</summary>
    public int Count { get; private set; }

    /// <summary>Frames of a single colour, numbered from 0.</summary>
    public IReadOnlyList<int> Flat => _flat;

    /// <summary>Looks at the next frames. [3, n, H, W], about in [−1, 1]</summary>
    /// <exception cref="NablaGenException">One holds a NaN or an infinite number.</exception>
    public void See(Tensor frames)
    {
        using var scope = NewDisposeScope();
        var pixels = frames.flatten(2);
        // A NaN or an infinite number is its colour's smallest or largest.
        var range = stack([pixels.amin([2]), pixels.amax([2])]).to(ScalarType.Float32).cpu();
        var finite = range.isfinite().all(0).all(0);
        range = range.Clamped(-1, 1);
        var flat = (range[1] - range[0]).amax([0]).IsAtMost(FlatRange);
        for (var i = 0; i < frames.shape[1]; i++, Count++)
        {
            if (!finite[i].item<bool>())
            {
                throw new NablaGenException($"frame {Count} contains NaN or infinity after decoding with {what}, so no video was made");
            }

            if (flat[i].item<bool>())
            {
                _flat.Add(Count);
            }
        }
    }

    /// <summary>After the last frame.</summary>
    /// <exception cref="NablaGenException">All frames are of a single colour: nothing was generated.</exception>
    public void Complete()
    {
        if (Count > 0 && _flat.Count == Count)
        {
            throw new NablaGenException(
                $"{(Count == 1 ? "the frame is" : $"all {Count} frames are")} of a single colour after decoding with {what}, so no video was made");
        }
    }
}
