using static TorchSharp.torch;

namespace NablaGen.Models.Vae;

/// <summary>Videos as batches of frames and back.</summary>
internal static class VaeFrames
{
    /// <summary>[B, C, T, H, W] → [B · T, C, H, W].</summary>
    public static Tensor Split(Tensor video)
    {
        using var scope = NewDisposeScope();
        return video.transpose(1, 2).flatten(0, 1).MoveToOuterDisposeScope();
    }

    /// <summary>[B · T, C, H, W] → [B, C, T, H, W].</summary>
    public static Tensor Join(Tensor frames, long batch)
    {
        using var scope = NewDisposeScope();
        return frames.unflatten(0, [batch, -1]).transpose(1, 2).MoveToOuterDisposeScope();
    }
}
