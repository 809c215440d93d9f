using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Video;

/// <summary>Turns decoded frames into the bytes that videos and pictures are made of.</summary>
public static class FrameConversion
{
    /// <summary>
    /// Gives a chunk's frames one after the other as RGB bytes: (clamp(x, −1, 1) + 1) · 127.5, rounded to nearest (a half to even).
    /// Port of cache_video, wan/utils/utils.py, with rounding where the reference cuts off.
    /// </summary>
    /// <param name="frames">[3, T, H, W], a floating type, on any device; red, green, blue in [−1, 1]. Unchanged.</param>
    /// <param name="write">
    /// Gets height × width × 3 bytes: rows from the top, pixels from the left, red, green, blue. They are gone when it returns.
    /// </param>
    /// <exception cref="ArgumentException">Another shape or type.</exception>
    public static void ForEachFrame(Tensor frames, Action<ReadOnlySpan<byte>> write)
    {
        if (frames.dim() != 4 || frames.shape[0] != 3 || !frames.is_floating_point())
        {
            throw new ArgumentException(
                $"Expected float frames [3, T, H, W], found {frames.dtype} [{string.Join(", ", frames.shape.Select(side => $"{side}"))}].", nameof(frames));
        }

        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        // Bytes on their own device first: a quarter of the floats to move.
        var bytes = frames.to(ScalarType.Float32).Clamped(-1, 1).Plus_(1).Times_(127.5).round_().to(ScalarType.Byte)
            .permute(1, 2, 3, 0).contiguous().cpu();
        for (var t = 0L; t < bytes.shape[0]; t++)
        {
            // A frame at a time: a whole video can pass what a span holds (2 GiB).
            using var frame = bytes[t];
            write(frame.bytes);
        }
    }
}
