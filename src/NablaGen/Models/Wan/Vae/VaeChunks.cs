using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Vae;

/// <summary>The encoder's top level a few frames at a time: nearly all of its memory is there, and the cache makes that exact.</summary>
internal static class VaeChunks
{
    /// <summary>Levels that may see fewer frames than a chunk has: the first, unless it halves time.</summary>
    public static int TopLevels(VaeConfig config) => config.TemporalDownsample is [false, ..] ? 1 : 0;

    /// <summary>The same in layers: the level's residual blocks and its down-sampling.</summary>
    public static int TopLayers(VaeConfig config) => TopLevels(config) * (config.NumResBlocks + 1);

    /// <summary>Cuts a chunk into tensors of a few frames, each by itself so that it can be freed, and disposes of it. [B, C, T, H, W]</summary>
    /// <param name="frames">The chunk.</param>
    /// <param name="atOnce">The most frames.</param>
    public static IReadOnlyList<Tensor> Cut(Tensor frames, int atOnce)
    {
        if (frames.shape[2] <= atOnce)
        {
            return [frames];
        }

        var parts = new List<Tensor>();
        for (var frame = 0L; frame < frames.shape[2]; frame += atOnce)
        {
            using var part = frames.narrow(2, frame, Math.Min(atOnce, frames.shape[2] - frame));
            parts.Add(part.clone());
        }

        frames.Dispose();
        return parts;
    }

    /// <summary>A chunk's frames, a few at a time. [B, C, T, H, W]</summary>
    /// <param name="frames">The chunk.</param>
    /// <param name="atOnce">The most frames.</param>
    /// <param name="layers">What is done with each part.</param>
    public static Tensor Each(Tensor frames, int atOnce, Func<Tensor, Tensor> layers)
    {
        using var scope = NewDisposeScope();
        var parts = new List<Tensor>();
        for (var frame = 0L; frame < frames.shape[2]; frame += atOnce)
        {
            using var part = frames.narrow(2, frame, Math.Min(atOnce, frames.shape[2] - frame));
            parts.Add(layers(part));
        }

        return (parts.Count == 1 ? parts[0] : cat(parts, 2)).MoveToOuterDisposeScope();
    }
}
