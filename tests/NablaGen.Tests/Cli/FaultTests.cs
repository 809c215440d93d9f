using NablaGen.Cuda.Device;

namespace NablaGen.Tests.Cli;

[Trait(Lane.Name, Lane.Commands)]
public sealed class FaultTests(GoldenModelFixture model) : IClassFixture<GoldenModelFixture>, IDisposable
{
    private readonly TempFolder _folder = new();

    [Theory]
    [InlineData("Unrecognized command or argument '--foo'", "--foo")]
    [InlineData("width must be a multiple of 16, such as 96, found 100", "--width", "100")]
    [InlineData("height must be from 1 to 16384, the most that H.264 takes, found 0", "--height", "0")]
    [InlineData("frames must be 4n + 1, such as 5, found 6", "--frames", "6")]
    [InlineData("steps must be from 1 to 1000, found 0", "--steps", "0")]
    [InlineData("fps must be from 1 to 240, found 0", "--fps", "0")]
    [InlineData("solver 'ddim' is not known: use unipc, dpm++, euler, flow-euler, x0", "--solver", "ddim")]
    [InlineData("shift must be above 0, found 0", "--shift", "0")]
    [InlineData("guidance must be 0 or more, found NaN", "--guidance", "NaN")]
    [InlineData("seed must be from 0 to 9223372036854775807, found -4", "--seed", "-4")]
    [InlineData("seed must be from 0 to 9223372036854775807, found 9223372036854775808", "--seed", "9223372036854775808")]
    [InlineData("target density must be above 0 and below 1, found 1", "--target-density", "1")]
    [InlineData("target density must be above 0 and below 1, found 0", "--target-density", "0")]
    [InlineData("target density must be above 0 and below 1, found 1.5", "--target-density", "1.5")]
    [InlineData("attention 'nabla' is not known", "--attention", "nabla")]
    [InlineData("NABLA's threshold must be above 0 and at most 1", "--threshold", "1.5")]
    [InlineData("--threshold and --attention both", "--threshold", "0.5", "--attention", "dense")]
    [InlineData("keeps the first 12 steps dense and there are 4", "--attention", "sta-3-3-3")]
    [InlineData("--dense-steps and --dense-layers have no effect on attention 'dense'", "--dense-steps", "2")]
    [InlineData("the first 9 layers are to be dense", "--threshold", "0.5", "--dense-layers", "9")]
    [InlineData("--negative-prompt has no effect at guidance 1", "--negative-prompt", "x", "--guidance", "1")]
    [InlineData("device 'tpu' is not known", "--device", "tpu")]
    [InlineData("dtype 'int8' is not known", "--dtype", "int8")]
    [InlineData("--vram has no effect on the CPU", "--device", "cpu", "--vram", "8GB")]
    [InlineData("--precision fp8 needs an NVIDIA GPU, and this runs on the CPU: leave it out", "--device", "cpu", "--precision", "fp8")]
    [InlineData("--width: 'abc' is not a whole number", "--width", "abc")]
    [InlineData("--shift: '5,5' is not a number", "--shift", "5,5")]
    [InlineData("a.avi: the name of the output must end in .mp4", "--output", "a.avi")]
    [InlineData("a PNG holds one frame", "--output", "a.png")]
    [InlineData("the name of the output is empty", "--output", "")]
    [InlineData("the name of the latents must end in .safetensors", "--latents", "a.latents")]
    [InlineData("width must be from 1 to 16384, the most that H.264 takes, found 1000000", "--width", "1000000", "--height", "1000000")]
    [InlineData("height must be from 1 to 16384, the most that H.264 takes, found 2000000000", "--height", "2000000000")]
    [InlineData("frames must be from 1 to 4097, found 2000000001", "--frames", "2000000001")]
    [InlineData("the prompt is empty", "--prompt", " ")]
    public void Wrong_usage_is_one_line_and_exit_code_2(string expected, params string[] flags)
    {
        string[] prompt = flags.Contains("--prompt") ? [] : ["--prompt", "x"];
        var run = NablaGenCommand.Run(["generate", .. prompt, "--model", model.Path, .. flags], _folder.Path);
        Assert.Equal(2, run.ExitCode);
        Assert.Contains(expected, run.Error);
        Assert.StartsWith("nablagen: ", run.Error);
        Assert.DoesNotContain("   at ", run.Error);
        Assert.Empty(_folder.Files);
    }

    [Fact]
    public void A_missing_model_is_one_line_and_exit_code_1()
    {
        var run = Generate("no such folder");
        Assert.Equal((1, "nablagen: no such folder: no such model folder.\n"), (run.ExitCode, run.Error));
    }

    [Fact]
    public void No_driver_says_what_was_looked_for()
    {
        Assert.SkipWhen(CudaDevice.IsAvailable(out _), "there is a CUDA device");
        var run = NablaGenCommand.Run(["generate", "--prompt", "x", "--model", model.Path, "--device", "cuda"], _folder.Path);
        Assert.Equal(1, run.ExitCode);
        Assert.StartsWith("nablagen: device 'cuda': ", run.Error);
        Assert.Contains(OperatingSystem.IsWindows() ? "nvcuda" : "libcuda", run.Error);
        Assert.Equal(1, run.Error.Count(c => c == '\n'));
        Assert.Empty(_folder.Files);
    }

    [Theory]
    [InlineData(GoldenModelFolder.DitFile)]
    [InlineData(GoldenModelFolder.TextEncoderFile)]
    [InlineData(GoldenModelFolder.VaeFile)]
    [InlineData("google/umt5-xxl/spiece.model")]
    public void A_cut_file_is_found_before_any_work(string file)
    {
        var path = _folder["model"];
        GoldenModelFolder.Assemble(path);
        using (var cut = File.OpenWrite(Path.Combine(path, file)))
        {
            cut.SetLength(cut.Length * 2 / 3);
        }

        var run = Generate(path);
        Assert.Equal(1, run.ExitCode);
        Assert.Contains(Path.GetFileName(file), run.Error);
        Assert.Equal(1, run.Error.Count(c => c == '\n'));
        Assert.Equal("checking\n", run.Progress);
        Assert.False(File.Exists(_folder["a.mp4"]));
    }

    [Fact]
    public void No_ffmpeg_is_found_before_any_work()
    {
        var run = Generate(model.Path, new Dictionary<string, string?> { ["PATH"] = Path.GetDirectoryName(Environment.ProcessPath) });
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("ffmpeg", run.Error);
        Assert.Equal("checking\n", run.Progress);
    }

    [Fact]
    public void A_comparison_sees_before_any_work_that_there_is_no_ffprobe()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "the stand-in for ffmpeg is a shell script");
        StandIn("exec \"$real\" \"$@\"");
        var run = NablaGenCommand.Run(
            ["compare", "--prompt", "x", "--model", model.Path, "--output-dir", _folder["c"]], _folder.Path,
            new Dictionary<string, string?> { ["NABLAGEN_FFMPEG"] = _folder.Path });
        Assert.Equal((1, ""), (run.ExitCode, run.Output));
        Assert.Contains("has no ffprobe", run.Error);
    }

    [Fact]
    public void A_video_that_fails_after_sampling_leaves_its_latents_and_says_how_to_go_on()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "the stand-in for ffmpeg is a shell script");
        // The trial frame before the work is 256 x 256.
        StandIn("case \"$*\" in *'-video_size 256x256'*) ;; *rawvideo*) echo 'disk full' >&2; exit 1 ;; esac; exec \"$real\" \"$@\"");
        var run = Generate(model.Path, new Dictionary<string, string?> { ["NABLAGEN_FFMPEG"] = _folder.Path });
        Assert.Equal(1, run.ExitCode);
        var lines = run.Error.Trim().Split('\n');
        Assert.Equal($"nablagen: the latents are saved; this command makes the video from them: nablagen decode {_folder["a.latents.safetensors"]}", lines[0]);
        Assert.Contains("disk full", lines[1]);
        Assert.False(File.Exists(_folder["a.mp4"]));
        Assert.Equal(0, NablaGenCommand.Run(["decode", _folder["a.latents.safetensors"], "--model", model.Path, "--output", _folder["b.mp4"]]).ExitCode);
    }

    [Fact]
    public void A_video_is_not_taken_for_latents()
    {
        var run = NablaGenCommand.Run(["decode", "a.mp4", "--model", model.Path]);
        Assert.Equal((2, "nablagen: a.mp4: expected latents, a .latents.safetensors that generate saved\n"), (run.ExitCode, run.Error));
    }

    [Fact]
    public void Latents_of_another_kind_are_refused()
    {
        var run = NablaGenCommand.Run(["decode", Path.Combine(model.Path, GoldenModelFolder.VaeFile), "--model", model.Path, "--output", _folder["a.mp4"]]);
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("not a latents file", run.Error);
    }

    [Fact]
    public void Doctor_passes_a_good_model_and_fails_a_bad_one()
    {
        var good = NablaGenCommand.Run(["doctor", "--model", model.Path]);
        Assert.Equal(0, good.ExitCode);
        Assert.DoesNotContain("FAIL", good.Output);
        Assert.Contains("every key, shape and type is right", good.Output);

        var bad = NablaGenCommand.Run(["doctor", "--model", _folder["nothing"]]);
        Assert.Equal(1, bad.ExitCode);
        Assert.Contains("FAIL  model", bad.Output);
    }

    public void Dispose() => _folder.Dispose();

    // An ffmpeg that does something else first; $real is the real one.
    private void StandIn(string script)
    {
        File.WriteAllText(_folder["ffmpeg"], $"#!/bin/sh\nreal='{NablaGen.Video.FfmpegTools.Find().Ffmpeg}'\n{script}\n");
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(_folder["ffmpeg"], UnixFileMode.UserRead | UnixFileMode.UserExecute);
        }
    }

    private NablaGenProcess Generate(string path, IReadOnlyDictionary<string, string?>? environment = null) => NablaGenCommand.Run(
        ["generate", "--prompt", "x", "--model", path, "--output", _folder["a.mp4"]], _folder.Path, environment);
}
