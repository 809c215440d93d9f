using NablaGen.Video;

namespace NablaGen.Tests.Video;

public class FfmpegErrorsTests
{
    [Theory]
    // ffmpeg 5.1 on a full disk, while it writes the header, a frame or the end.
    [InlineData("Could not write header for output file #0 (incorrect codec parameters ?): No space left on device",
        "[mp4 @ 0x55d0c8a0] Could not write header for output file #0 (incorrect codec parameters ?): No space left on device",
        "Error initializing output stream 0:0 --", "Conversion failed!")]
    [InlineData("av_interleaved_write_frame(): No space left on device",
        "av_interleaved_write_frame(): No space left on device", "Error writing trailer of file:a.mp4.partial: No space left on device after all", "Conversion failed!")]
    [InlineData("Error writing trailer: No space left on device",
        "    Last message repeated 3 times", "[out#0/mp4 @ 0x1] Error writing trailer: No space left on device", "[out#0/mp4 @ 0x1] Error closing file: unknown")]
    // ffmpeg 7.
    [InlineData("Unknown encoder 'libnothing'",
        "[vost#0:0 @ 0x1] Unknown encoder 'libnothing'", "[vost#0:0 @ 0x1] Error selecting an encoder", "Error opening output file file:a.mp4.",
        "Error opening output files: Encoder not found")]
    [InlineData("Cannot load libcuda.so.1",
        "[h264_nvenc @ 0x1] Cannot load libcuda.so.1", "Error initializing output stream 0:0 -- Error while opening encoder for output stream #0:0")]
    [InlineData("Error opening output files: Encoder not found", "Error opening output files: Encoder not found")]
    public void The_line_that_tells_the_cause_is_shown(string expected, params string[] said)
    {
        var errors = new FfmpegErrors();
        foreach (var line in said)
        {
            errors.Add(line);
        }

        Assert.Equal(expected, errors.Line);
        Assert.Equal(said, errors.Lines);
    }

    [Fact]
    public void Nothing_said_is_nothing_and_much_said_is_bounded()
    {
        var errors = new FfmpegErrors();
        errors.Add(null);
        errors.Add("");
        Assert.Null(errors.Line);
        for (var i = 0; i < 10_000; i++)
        {
            errors.Add($"{i}\t{new string('x', 10_000)}");
        }

        Assert.InRange(errors.Lines.Sum(line => line.Length), 1, 200 * 500);
        Assert.StartsWith("9999 x", errors.Line);
    }
}
