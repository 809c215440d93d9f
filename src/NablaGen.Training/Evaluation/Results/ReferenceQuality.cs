using NablaGen.Video.Metrics;

namespace NablaGen.Training.Evaluation.Results;

/// <summary>How near a video is to another: PSNR and SSIM as <c>compare</c> measures them, before compression.</summary>
/// <param name="Psnr">In dB; infinite where the two are equal.</param>
/// <param name="Ssim">At most 1.</param>
public readonly record struct ReferenceQuality(double Psnr, double Ssim)
{
    /// <summary>Measures a video.</summary>
    /// <param name="reference">The video to compare it with, of the same size.</param>
    /// <param name="clip">The video.</param>
    public static ReferenceQuality Measure(FrameBytes reference, FrameBytes clip)
    {
        var (psnr, ssim) = (new Psnr(), new Ssim());
        for (int t = 0; t < reference.Frames; t++)
        {
            var (one, other) = (Yuv(reference, t), Yuv(clip, t));
            psnr.Add(one, other);
            ssim.Add(one, other);
        }

        return new ReferenceQuality(psnr.Value, ssim.Value);
    }

    /// <summary>A frame as our MP4s hold it before coding: yuv420p, BT.709, limited range.</summary>
    internal static YuvFrame Yuv(FrameBytes clip, int frame)
    {
        const double Red = 0.2126, Blue = 0.0722, Green = 1 - Red - Blue;
        int width = clip.Width, height = clip.Height, area = width * height;
        var red = clip.Rgb.AsSpan(frame * area, area);
        var green = clip.Rgb.AsSpan((clip.Frames + frame) * area, area);
        var blue = clip.Rgb.AsSpan(((2 * clip.Frames) + frame) * area, area);
        var yuv = new YuvFrame(width, height);
        var luma = yuv.Bytes[..area];
        int chromaWidth = yuv.PlaneWidth(1), chromaArea = chromaWidth * yuv.PlaneHeight(1);
        var cb = yuv.Bytes.Slice(area, chromaArea);
        var cr = yuv.Bytes.Slice(area + chromaArea, chromaArea);
        for (int row = 0; row < height; row += 2)
        {
            for (int column = 0; column < width; column += 2)
            {
                double sumRed = 0, sumBlue = 0, sumLuma = 0;
                int count = 0;
                for (int y = row; y < Math.Min(row + 2, height); y++)
                {
                    for (int x = column; x < Math.Min(column + 2, width); x++, count++)
                    {
                        int at = (y * width) + x;
                        double light = (Red * red[at]) + (Green * green[at]) + (Blue * blue[at]);
                        luma[at] = (byte)Math.Round(16 + (light * 219 / 255));
                        (sumRed, sumBlue, sumLuma) = (sumRed + red[at], sumBlue + blue[at], sumLuma + light);
                    }
                }

                int chroma = (row / 2 * chromaWidth) + (column / 2);
                cb[chroma] = (byte)Math.Round(128 + ((sumBlue - sumLuma) / count / (2 * (1 - Blue)) * 224 / 255));
                cr[chroma] = (byte)Math.Round(128 + ((sumRed - sumLuma) / count / (2 * (1 - Red)) * 224 / 255));
            }
        }

        return yuv;
    }
}
