using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Vae;

/// <summary>
/// Tensors whose channels are axis 1 by shape and last in memory. cuDNN and oneDNN are fastest on these, and a pixel's channels lie
/// together for the norms. (TorchSharp does not bind memory formats; libtorch knows one by its strides.)
/// </summary>
internal static class ChannelsLast
{
    /// <summary>Memory for a video. [B, C, T, H, W]</summary>
    public static Tensor Empty(long[] shape, ScalarType dtype, Device device)
    {
        using var scope = NewDisposeScope();
        return empty([shape[0], shape[2], shape[3], shape[4], shape[1]], dtype, device).permute(0, 4, 1, 2, 3).MoveToOuterDisposeScope();
    }

    /// <summary>The same video or frames with the channels last: itself if they are already, else a copy. [B, C, T, H, W] or [N, C, H, W]</summary>
    public static Tensor Of(Tensor x)
    {
        using var scope = NewDisposeScope();
        return Shaped(Pixels(x).contiguous()).MoveToOuterDisposeScope();
    }

    /// <summary>A view with the channels as the last axis. [B, C, T, H, W] → [B, T, H, W, C]; [N, C, H, W] → [N, H, W, C]</summary>
    public static Tensor Pixels(Tensor x) => x.dim() == 5 ? x.permute(0, 2, 3, 4, 1) : x.permute(0, 2, 3, 1);

    /// <summary>The view back. [B, T, H, W, C] → [B, C, T, H, W]; [N, H, W, C] → [N, C, H, W]</summary>
    public static Tensor Shaped(Tensor pixels) => pixels.dim() == 5 ? pixels.permute(0, 4, 1, 2, 3) : pixels.permute(0, 3, 1, 2);

    /// <summary>[B, C, T, H, W] → [B · T, C, H, W]; a view where memory allows.</summary>
    public static Tensor Frames(Tensor video)
    {
        // Not flattened where there is one video: that can give the axis a stride by which libtorch no longer sees channels last.
        using var scope = NewDisposeScope();
        var frames = video.shape[0] == 1 ? video.squeeze(0).transpose(0, 1) : video.transpose(1, 2).flatten(0, 1);
        return frames.MoveToOuterDisposeScope();
    }

    /// <summary>[B · T, C, H, W] → [B, C, T, H, W], a view.</summary>
    public static Tensor Video(Tensor frames, long batch)
    {
        using var scope = NewDisposeScope();
        return frames.unflatten(0, [batch, frames.shape[0] / batch]).transpose(1, 2).MoveToOuterDisposeScope();
    }
}
