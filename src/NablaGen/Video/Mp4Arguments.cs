using FFMpegCore;
using FFMpegCore.Enums;

namespace NablaGen.Video;

/// <summary>Builds the command line that makes an MP4 of raw frames on ffmpeg's standard input.</summary>
internal static class Mp4Arguments
{
    /// <summary>The command line.</summary>
    /// <param name="width">Width of the frames (RGB, 24 bits a pixel).</param>
    /// <param name="height">Their height.</param>
    /// <param name="rate">Frames a second, as a fraction.</param>
    /// <param name="encoder">ffmpeg's name of the H.264 encoder.</param>
    /// <param name="tags">Full path of an ffmetadata file.</param>
    /// <param name="output">Full path of the file to write.</param>
    public static string Of(int width, int height, string rate, string encoder, string tags, string output) => FFMpegArguments
        .FromFileInput("pipe:0", verifyExists: false, options => options.WithCustomArgument(
            $"-hide_banner -nostdin -loglevel error -xerror -f rawvideo -pixel_format rgb24 -video_size {width}x{height} -framerate {rate}"))
        .AddFileInput(FfmpegText.QuotedFile(tags), verifyExists: false, options => options.ForceFormat("ffmetadata"))
        .OutputToFile(FfmpegText.QuotedFile(output), overwrite: true, options => Encode(options, encoder, width * height))
        .Arguments;

    private static void Encode(FFMpegOutputOptions options, string encoder, int pixels)
    {
        options.WithCustomArgument("-map 0:v:0 -map_metadata 1")
            // RGB has no matrix of its own: BT.709 is converted to, and then said, in the frames and in the stream.
            .WithCustomArgument("-vf \"scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp,"
                + "format=yuv420p,setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709\"")
            .WithCustomArgument("-color_range tv -colorspace bt709 -color_primaries bt709 -color_trc bt709")
            .WithVideoCodec(encoder);
        _ = encoder switch
        {
            // The number of threads is x264's own: its frames depend on it (docs/video.md), and are to stay what they were.
            FfmpegTools.BestEncoder => options.WithConstantRateFactor(17).WithSpeedPreset(EncoderPreset.Medium),
            "h264_nvenc" => options.WithCustomArgument("-rc vbr -cq 19 -b:v 0"),
            // The others want a bit rate: 8 Mbit/s for 832x480, by area.
            _ => options.WithVideoBitrate(Math.Max(1000, pixels / 50)),
        };
        options.WithPixelFormat("yuv420p").WithFastStart().ForceFormat("mp4");
    }
}
