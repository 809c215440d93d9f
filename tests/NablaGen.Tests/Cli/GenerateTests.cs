using System.Text.Json;
using System.Text.RegularExpressions;
using NablaGen.Generation;
using NablaGen.Video;
using static TorchSharp.torch;

namespace NablaGen.Tests.Cli;

[Trait(Lane.Name, Lane.Commands)]
public sealed class GenerateTests(GoldenModelFixture model) : IClassFixture<GoldenModelFixture>, IDisposable
{
    private const string Prompt = "A \"cat\" & 猫 = 色调艳丽; it's \\ café";

    private readonly TempFolder _folder = new();

    [Fact]
    public void A_video_is_written_with_its_recipe()
    {
        var run = Generate("video ü.mp4", "--seed", "7", "--width", "144", "--height", "112", "--frames", "9", "--fps", "12", "--threshold", "0.7");
        Assert.Equal(0, run.ExitCode);
        Assert.Equal("", run.Error);

        var video = VideoProbe.Read(_folder["video ü.mp4"]);
        Assert.Equal((144, 112, 9, 12.0), (video.Width, video.Height, video.FrameCount, video.Fps));
        Assert.Equal("h264", video.Codec);
        Assert.Equal("yuv420p", video.PixelFormat);
        Assert.True(video.FastStart);
        Assert.Equal(Prompt, video.Tags["title"]);
        var recipe = Recipe.Parse(video.Tags["comment"], "comment");
        Assert.Equal((Prompt, 7, "nabla-0.7", 4, "golden"), (recipe.Prompt, recipe.Seed, recipe.Attention, recipe.Steps, recipe.Model));
        Assert.Matches("^[0-9a-f]{16}$", recipe.ModelHash);
        Assert.Equal(NablaGenVersion.Text, recipe.Version);

        var json = JsonDocument.Parse(File.ReadAllText(_folder["video ü.json"])).RootElement;
        Assert.Equal(Prompt, json.GetProperty("prompt").GetString());
        Assert.InRange(json.GetProperty("result").GetProperty("density").GetDouble(), 0.05, 0.95);

        Assert.Contains("seed      7", run.Output);
        Assert.Contains("sampling: step 4/4", run.Progress);
        Assert.Equal(["video ü.json", "video ü.latents.safetensors", "video ü.mp4"], Names());
    }

    [Fact]
    public void The_same_seed_gives_the_same_frames_and_another_does_not()
    {
        Assert.Equal(0, Generate("a.mp4", "--seed", "1").ExitCode);
        Assert.Equal(0, Generate("b.mp4", "--seed", "1").ExitCode);
        Assert.Equal(0, Generate("c.mp4", "--seed", "2").ExitCode);
        Assert.Equal(Frames("a.mp4"), Frames("b.mp4"));
        Assert.NotEqual(Frames("a.mp4"), Frames("c.mp4"));
        Assert.Equal(File.ReadAllBytes(_folder["a.mp4"]), File.ReadAllBytes(_folder["b.mp4"]));
    }

    [Fact]
    public void Nabla_at_threshold_1_is_dense_and_below_it_is_not()
    {
        string[] flags = ["--seed", "1", "--width", "144", "--height", "144", "--frames", "5", "--steps", "2"];
        Assert.Contains("attention dense, mean density 1.000", Generate("dense.mp4", flags).Output);
        Assert.Contains("attention nabla-1, mean density 1.000", Generate("all.mp4", [.. flags, "--attention", "nabla-1.0"]).Output);
        var sparse = Generate("sparse.mp4", [.. flags, "--threshold", "0.7"]).Output;
        var density = double.Parse(Regex.Match(sparse, @"attention nabla-0\.7, mean density (\d\.\d+)").Groups[1].Value);
        Assert.InRange(density, 0.05, 0.95);

        using var scope = NewDisposeScope();
        var dense = Latents("dense");
        Golden.AssertClose(Latents("all"), dense, 1e-4);
        Assert.InRange(Golden.RelativeError(Latents("sparse"), dense), 1e-3, double.MaxValue);
        Assert.NotEqual(Frames("dense.mp4"), Frames("sparse.mp4"));
    }

    [Fact]
    public void Decoding_the_latents_gives_the_same_frames()
    {
        Assert.Equal(0, Generate("a.mp4", "--seed", "3", "--latents", _folder["sub/x.safetensors"]).ExitCode);
        var run = NablaGenCommand.Run(["decode", _folder["sub/x.safetensors"], "--model", model.Path, "--output", _folder["b.mp4"]]);
        Assert.Equal(0, run.ExitCode);
        Assert.Equal(Frames("a.mp4"), Frames("b.mp4"));
        Assert.Equal(VideoProbe.Read(_folder["a.mp4"]).Tags["comment"], VideoProbe.Read(_folder["b.mp4"]).Tags["comment"]);
    }

    [Theory]
    [InlineData("--solver", "dpm++")]
    [InlineData("--solver", "euler")]
    [InlineData("--guidance", "1")]
    [InlineData("--dtype", "bfloat16")]
    [InlineData("--attention", "sta-1-1-1", "--dense-steps", "1", "--dense-layers", "1")]
    [InlineData("--attention", "nabla-0.4_sta-3-1-1")]
    public void Every_way_makes_a_video(params string[] flags)
    {
        var run = Generate("a.mp4", flags);
        Assert.Equal("", run.Error);
        Assert.Equal(0, run.ExitCode);
        Assert.Equal(5, VideoProbe.Read(_folder["a.mp4"]).FrameCount);
    }

    [Fact]
    public void One_frame_may_be_a_picture()
    {
        Assert.Equal(0, Generate("a.png", "--frames", "1").ExitCode);
        Assert.Equal([0x89, (byte)'P', (byte)'N', (byte)'G'], File.ReadAllBytes(_folder["a.png"])[..4]);
    }

    [Fact]
    public void Without_output_the_first_free_name_is_taken()
    {
        for (var i = 0; i < 2; i++)
        {
            var run = NablaGenCommand.Run(["generate", "--prompt", "x", "--model", model.Path, "--steps", "1", "--guidance", "1"], _folder.Path);
            Assert.Equal(0, run.ExitCode);
        }

        Assert.Equal(["out-2.mp4", "out.mp4"], Names().Where(name => name.EndsWith(".mp4")));
    }

    [Theory]
    [InlineData("INT")]
    [InlineData("TERM")]
    public void Interrupted_it_exits_with_130_and_leaves_no_video(string signal)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "signals are sent with kill");
        using var process = NablaGenProcess.Start(
            ["generate", "--prompt", "x", "--model", model.Path, "--steps", "500", "--output", _folder["a.mp4"]]);
        for (var line = ""; !line!.Contains("step 1/"); line = process.StandardError.ReadLine())
        {
            Assert.NotNull(line);
        }

        System.Diagnostics.Process.Start("kill", ["-" + signal, $"{process.Id}"]).WaitForExit();
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(130, process.ExitCode);
        Assert.Equal("nablagen: stopping after this layer; Ctrl-C again ends now\nnablagen: cancelled\n", NablaGenProcess.ErrorOf(process.StandardError.ReadToEnd()));
        Assert.Empty(Names());
    }

    public void Dispose() => _folder.Dispose();

    private NablaGenProcess Generate(string output, params string[] flags) => NablaGenCommand.Run(
        ["generate", "--prompt", Prompt, "--model", model.Path, "--output", _folder[output], .. flags]);

    private byte[] Frames(string video)
    {
        using var reader = VideoReader.Open(_folder[video]);
        var frames = new byte[reader.FrameBytes * reader.Info.FrameCount];
        for (var i = 0; i < reader.Info.FrameCount; i++)
        {
            Assert.True(reader.ReadFrame(frames.AsSpan(i * reader.FrameBytes, reader.FrameBytes)));
        }

        return frames;
    }

    private Tensor Latents(string name) => LatentFile.Load(_folder[name + ".latents.safetensors"]).Latents;

    private IEnumerable<string> Names() => _folder.Files.Select(file => Path.GetRelativePath(_folder.Path, file)).Order(StringComparer.Ordinal);
}
