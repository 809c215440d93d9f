using NablaGen.Video;

namespace NablaGen.Tests.Video;

public class FfmpegToolsTests
{
    [Fact]
    public void The_machines_ffmpeg_is_found_with_its_version_and_encoders()
    {
        var tools = FfmpegTools.Find();

        Assert.StartsWith("ffmpeg version ", tools.ReadVersion(TestContext.Current.CancellationToken));
        Assert.NotNull(tools.Ffprobe);
        Assert.NotEmpty(tools.ListH264Encoders(TestContext.Current.CancellationToken));
        Assert.All(tools.ListH264Encoders(TestContext.Current.CancellationToken), name => Assert.DoesNotContain(' ', name));
        Assert.Contains(tools.PickH264Encoder(TestContext.Current.CancellationToken), tools.ListH264Encoders(TestContext.Current.CancellationToken));
    }

    [Fact]
    public void The_variable_may_name_the_folder_or_the_file()
    {
        var found = FfmpegTools.Find();

        Assert.Equal(found.Ffmpeg, FfmpegTools.Find(Path.GetDirectoryName(found.Ffmpeg), searchPath: "").Ffmpeg);
        Assert.Equal(found.Ffmpeg, FfmpegTools.Find(found.Ffmpeg, searchPath: "").Ffmpeg);
    }

    [Fact]
    public void Without_ffmpeg_one_line_says_how_to_get_it()
    {
        using var folder = new TempFolder();

        var missing = Assert.Throws<NablaGenException>(() => FfmpegTools.Find(null, Path.GetDirectoryName(folder["x"])));
        Assert.Contains(FfmpegTools.InstallCommand, missing.Message);
        Assert.DoesNotContain('\n', missing.Message);

        var misnamed = Assert.Throws<NablaGenException>(() => FfmpegTools.Find(folder["x"], null));
        Assert.Contains("NABLAGEN_FFMPEG", misnamed.Message);
    }

    [Fact]
    public void A_file_that_cannot_be_run_is_passed_over()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no executable bit");
        using var folder = new TempFolder();
        File.WriteAllText(folder["ffmpeg"], "not a program");

        Assert.Throws<NablaGenException>(() => FfmpegTools.Find(null, Path.GetDirectoryName(folder["ffmpeg"])));
    }

    [Fact]
    public void Without_libx264_the_first_other_encoder_that_works_is_taken()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "the stand-in for ffmpeg is a shell script");
        using var folder = new TempFolder();
        // It has two others; h264_nvenc fails, and libx264 does h264_qsv's work.
        var tools = Clip.Script(folder, """
            case "$*" in
              *-encoders*) echo ' V....D h264_nvenc  NVENC (codec h264)'; echo ' V....D h264_qsv  Quick Sync (codec h264)'; exit ;;
              *libx264*) echo "Unknown encoder 'libx264'" >&2; exit 1 ;;
              *h264_nvenc*) echo 'Cannot load libcuda.so.1' >&2; exit 1 ;;
            esac
            exec "$FFMPEG" "${@/#h264_qsv/libx264}"
            """);

        Assert.Equal(["h264_nvenc", "h264_qsv"], tools.ListH264Encoders(TestContext.Current.CancellationToken));
        Assert.Equal("h264_qsv", tools.PickH264Encoder(TestContext.Current.CancellationToken));
        Clip.Write(folder["video.mp4"], 64, 48, frames: 5, fps: 16, tools: tools);
        Assert.Equal(5, VideoProbe.Read(folder["video.mp4"]).FrameCount);
    }

    [Fact]
    public void Without_any_encoder_one_line_says_so()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "the stand-in for ffmpeg is a shell script");
        using var folder = new TempFolder();
        var tools = Clip.Script(folder, "[[ \"$*\" == *-encoders* ]] && echo ' V..... h264_v4l2m2m  V4L2 (codec h264)' && exit 0; exit 1");

        var error = Assert.Throws<NablaGenException>(() => Mp4Writer.CheckTarget(folder["video.mp4"], tools, TestContext.Current.CancellationToken));

        Assert.Contains("no H.264 encoder that works here (libx264 is missing; tried h264_v4l2m2m: ", error.Message);
    }
}
