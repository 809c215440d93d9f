using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Vae;

/// <summary>Squares of pixels as channels, colour by colour, columns before rows. Port of patchify and unpatchify, wan/modules/vae2_2.py.</summary>
internal static class PixelSquares
{
    /// <summary>[B, C, T, H, W] → [B, C · side², T, H / side, W / side]</summary>
    public static Tensor ToChannels(Tensor video, long side)
    {
        using var scope = NewDisposeScope();
        return (side == 1 ? video.alias() : video.unflatten(4, [-1, side]).unflatten(3, [-1, side]).permute(0, 1, 6, 4, 2, 3, 5).flatten(1, 3))
            .MoveToOuterDisposeScope();
    }

    /// <summary>[B, C · side², T, h, w] → [B, C, T, h · side, w · side]</summary>
    public static Tensor ToPixels(Tensor channels, long side)
    {
        using var scope = NewDisposeScope();
        return (side == 1 ? channels.alias() : channels.unflatten(1, [-1, side, side]).permute(0, 1, 4, 5, 3, 6, 2).flatten(5, 6).flatten(3, 4))
            .MoveToOuterDisposeScope();
    }
}
