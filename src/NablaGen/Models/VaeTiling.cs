using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Models;

/// <summary>
/// How decoding or encoding is divided so that it needs less memory. The result is the same but for its last bits: tiles include all pixels around them
/// that influence them, and the layers with attention see whole frames.
/// </summary>
/// <param name="Height">The most rows of a tile, in the video's pixels; 0 for whole frames.</param>
/// <param name="Width">The most columns of a tile, in the video's pixels; 0 for whole frames.</param>
/// <param name="FramesAtOnce">How many frames are at full resolution at once; a latent frame becomes four.</param>
public sealed record VaeTiling(int Height = 0, int Width = 0, int FramesAtOnce = 4)
{
    /// <summary>Which of how many slices of rows is decoded and handed over, of tiles as wide as the frame; null for all rows. Encoding knows no slices.</summary>
    public (int Index, int Count)? Slice { get; init; }

    /// <summary>Whole frames, as many at once as there are: the fastest.</summary>
    public static VaeTiling None { get; } = new();

    /// <summary>
    /// Whole frames: on the CPU all four of a latent frame at once, which is faster; on CUDA one, which takes a twentieth longer than two
    /// and a GiB less at 1280×720 (docs/performance.md).
    /// </summary>
    public static VaeTiling DefaultOn(Device device) => None with { FramesAtOnce = device.type == DeviceType.CUDA ? 1 : 4 };
}
