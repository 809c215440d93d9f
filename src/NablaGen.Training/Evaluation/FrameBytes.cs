using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Training.Evaluation;

/// <summary>A clip as a video file holds it: bytes.</summary>
/// <param name="Rgb">Red, green and blue planes, each frame after frame, rows from the top. [3, Frames, Height, Width]</param>
/// <param name="Frames">How many frames.</param>
/// <param name="Height">Rows.</param>
/// <param name="Width">Columns.</param>
public sealed record FrameBytes(byte[] Rgb, int Frames, int Height, int Width)
{
    /// <summary>Rounds frames to bytes, as a video is written.</summary>
    /// <param name="frames">[3, T, H, W], a floating type, on any device; red, green, blue in [−1, 1]. Unchanged.</param>
    /// <exception cref="ArgumentException">Another shape or type.</exception>
    public static FrameBytes Of(Tensor frames)
    {
        if (frames.dim() != 4 || frames.shape[0] != 3 || !frames.is_floating_point())
        {
            throw new ArgumentException($"Expected float frames [3, T, H, W], found {frames.dtype} [{string.Join(", ", frames.shape)}].", nameof(frames));
        }

        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return new FrameBytes(
            Round(frames).contiguous().cpu().bytes.ToArray(), (int)frames.shape[1], (int)frames.shape[2], (int)frames.shape[3]);
    }

    /// <summary>[−1, 1] → 0 to 255, on the tensor's device. Any shape.</summary>
    internal static Tensor Round(Tensor frames) => frames.to(ScalarType.Float32).Clamped(-1, 1).Plus(1).Times(127.5).round().to(ScalarType.Byte);

    /// <summary>A frame as pictures are written: height × width × 3 bytes.</summary>
    public byte[] Interleaved(int frame)
    {
        int area = Height * Width, plane = Frames * area, from = frame * area;
        var pixels = new byte[3 * area];
        for (int i = 0; i < area; i++)
        {
            (pixels[3 * i], pixels[(3 * i) + 1], pixels[(3 * i) + 2]) = (Rgb[from + i], Rgb[plane + from + i], Rgb[(2 * plane) + from + i]);
        }

        return pixels;
    }
}
