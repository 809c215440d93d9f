using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Vae;

/// <summary>The shortcuts without weights around the levels of Wan2.2's VAE. Port of AvgDown3D and DupUp3D, wan/modules/vae2_2.py.</summary>
internal static class LevelShortcut
{
    /// <summary>
    /// Fewer pixels and frames as more channels, and means of neighbouring ones of these. Where a chunk's frames do not divide, zeros come
    /// before them. [B, C, T, H, W] → [B, outputs, ⌈T / time⌉, H / space, W / space]
    /// </summary>
    /// <param name="x">A chunk of frames.</param>
    /// <param name="outputs">Channels that come out.</param>
    /// <param name="time">Frames that become one.</param>
    /// <param name="space">Rows and columns that become one.</param>
    public static Tensor Average(Tensor x, long outputs, long time, long space)
    {
        using var scope = NewDisposeScope();
        var missing = (time - x.shape[2] % time) % time;
        var whole = missing == 0 ? x : functional.pad(x, [0, 0, 0, 0, missing, 0]);
        var cut = whole.unflatten(4, [-1, space]).unflatten(3, [-1, space]).unflatten(2, [-1, time]);
        // [B, C, T, time, H, space, W, space] → [B, C · time · space · space, T, H, W]
        var channels = cut.permute(0, 1, 3, 5, 7, 2, 4, 6).flatten(1, 4);
        return ChannelsLast.Of(channels.unflatten(1, [outputs, -1]).mean([2])).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Channels, each repeated as often as is needed, as more frames and pixels. [B, C, T, H, W] → [B, outputs, T · time, H · space, W · space]
    /// </summary>
    /// <param name="x">A chunk of frames.</param>
    /// <param name="outputs">Channels that come out.</param>
    /// <param name="time">Frames that one becomes.</param>
    /// <param name="space">Rows and columns that one becomes.</param>
    /// <param name="isFirst">Whether it is the video's first chunk, whose first frame stays one: those before it are left out.</param>
    public static Tensor Repeat(Tensor x, long outputs, long time, long space, bool isFirst)
    {
        using var scope = NewDisposeScope();
        var repeated = x.repeat_interleave(outputs * time * space * space / x.shape[1], 1).unflatten(1, [outputs, time, space, space]);
        // [B, outputs, time, space, space, T, H, W] → [B, T · time, H · space, W · space, outputs], in one copy
        var pixels = repeated.permute(0, 5, 2, 6, 3, 7, 4, 1).flatten(5, 6).flatten(3, 4).flatten(1, 2);
        var video = ChannelsLast.Shaped(pixels);
        return ChannelsLast.Of(isFirst ? video.narrow(2, time - 1, video.shape[2] - time + 1) : video).MoveToOuterDisposeScope();
    }
}
