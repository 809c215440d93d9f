using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Video.Pictures;

/// <summary>Pictures as models take them.</summary>
public static class PictureTensor
{
    /// <summary>A picture's pixels as float32, black −1 and white 1. [1, 3, H, W]</summary>
    public static Tensor Of(Picture picture)
    {
        using var scope = NewDisposeScope();
        var pixels = tensor(picture.Rgb24, [picture.Height, picture.Width, 3], dtype: ScalarType.Byte);
        return pixels.permute(2, 0, 1).to_type(ScalarType.Float32).Over(255L).Minus(0.5).Over(0.5).unsqueeze(0).contiguous().MoveToOuterDisposeScope();
    }
}
