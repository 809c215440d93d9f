using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Vae;

/// <summary>A part of the frame, in pixels of one of the decoder's levels.</summary>
internal readonly record struct VaeRegion(long Top, long Left, long Height, long Width)
{
    /// <summary>The same part where there are twice as many pixels a side.</summary>
    public VaeRegion Doubled => new(2 * Top, 2 * Left, 2 * Height, 2 * Width);

    /// <summary>Pixels.</summary>
    public long Area => Height * Width;

    /// <summary>With a margin around it, cropped to the frame.</summary>
    public VaeRegion Grown(long margin, VaeRegion frame)
    {
        var (top, left) = (Math.Max(Top - margin, 0), Math.Max(Left - margin, 0));
        return new(top, left, Math.Min(Top + Height + margin, frame.Height) - top, Math.Min(Left + Width + margin, frame.Width) - left);
    }

    /// <summary>This part of a tensor that covers another; a view if that is all of it, else a copy, channels last. [B, C, T, H, W]</summary>
    public Tensor Crop(Tensor x, VaeRegion covered)
    {
        using var scope = NewDisposeScope();
        var part = this == covered
            ? x.alias()
            : ChannelsLast.Of(x.narrow(3, Top - covered.Top, Height).narrow(4, Left - covered.Left, Width));
        return part.MoveToOuterDisposeScope();
    }
}
