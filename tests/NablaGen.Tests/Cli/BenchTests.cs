using System.Text.Json;
using NablaGen.Cuda.Device;

namespace NablaGen.Tests.Cli;

[Trait(Lane.Name, Lane.Commands)]
public class BenchTests
{
    [Theory]
    [InlineData("bfloat16", 45, 80)]
    [InlineData("float32", 90, double.PositiveInfinity)]
    public void Vae_times_a_decode_and_says_how_near_it_is(string dtype, double least, double most)
    {
        var timing = Json(
            "vae", "--size", "5x48x32", "--dim", "16", "--tile", "16x16", "--dtype", dtype, "--psnr", "--repeats", "1");
        Assert.True(timing.GetProperty("seconds").GetDouble() > 0);
        Assert.True(timing.GetProperty("memory_bytes").GetInt64() > timing.GetProperty("estimated_bytes").GetInt64());
        var psnr = timing.GetProperty("psnr");
        Assert.InRange(psnr.ValueKind == JsonValueKind.String ? double.PositiveInfinity : psnr.GetDouble(), least, most);
    }

    [Fact]
    public void T5_times_a_prompt()
    {
        var timing = Json("t5", "--tokens", "8", "--layers", "2", "--dim", "128", "--vocab", "100", "--repeats", "3");
        Assert.Equal(8, timing.GetProperty("tokens").GetInt32());
        Assert.InRange(timing.GetProperty("milliseconds").GetDouble(), timing.GetProperty("fastest").GetDouble(), timing.GetProperty("slowest").GetDouble());
    }

    [Fact]
    public void Generate_times_every_stage_and_step()
    {
        var timings = Json("generate", "--preset", "tiny", "--size", "64x96x5", "--steps", "3", "--attention", "dense", "nabla-0.4").EnumerateArray().ToArray();
        Assert.Equal(["dense", "nabla-0.4"], timings.Select(timing => timing.GetProperty("attention").GetString()));
        Assert.Equal(1, timings[0].GetProperty("density").GetDouble());
        Assert.InRange(timings[1].GetProperty("density").GetDouble(), 0.2, 0.9);
        foreach (var timing in timings)
        {
            // 2 latent frames of 4 x 6 patches.
            Assert.Equal(48, timing.GetProperty("tokens").GetInt32());
            var steps = timing.GetProperty("steps").EnumerateArray().Select(step => step.GetProperty("milliseconds").GetDouble()).Order().ToArray();
            Assert.Equal(3, steps.Length);
            Assert.Equal(steps[1], timing.GetProperty("step_milliseconds").GetDouble());
            Assert.True(timing.GetProperty("sample_seconds").GetDouble() * 1e3 >= steps.Sum());
            Assert.True(timing.GetProperty("text_seconds").GetDouble() > 0 && timing.GetProperty("decode_seconds").GetDouble() > 0);
            Assert.True(timing.GetProperty("peak_bytes").GetInt64() > 0);
            // The CPU waits for no device.
            Assert.False(timing.TryGetProperty("is_launch_bound", out _));
        }
    }

    [Fact]
    public void A_profile_is_a_table_and_a_file()
    {
        using var folder = new TempFolder();
        var file = folder["profile.json"];
        var run = NablaGenCommand.Run(
            ["bench", "dit", "--preset", "tiny", "--latent", "1x16x16", "--attention", "nabla-0.4", "--profile", "--repeats", "1", "--device", "cpu", "--json", file]);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Contains("feed-forward out", run.Output);
        var operations = JsonDocument.Parse(File.ReadAllText(file)).RootElement[0].GetProperty("operations").EnumerateArray().ToArray();
        Assert.Contains(operations, operation => operation.GetProperty("name").GetString() == "q, k, v, o" && operation.GetProperty("calls").GetInt32() == 28);
        Assert.All(operations, operation => Assert.True(operation.GetProperty("total").GetDouble() > 0 && operation.GetProperty("total_floor").GetDouble() > 0));
        Assert.Equal(["profile.json"], folder.Files.Select(Path.GetFileName));
    }

    [Fact]
    public void Kernels_without_a_device_say_so_in_one_line()
    {
        Assert.SkipWhen(CudaDevice.IsAvailable(out _), "There is a CUDA device.");
        var run = NablaGenCommand.Run(["bench", "kernels"]);
        Assert.Equal((1, ""), (run.ExitCode, run.Output));
        Assert.StartsWith("nablagen: bench kernels needs a CUDA device: ", run.Error);
        Assert.Single(run.Error.TrimEnd().Split('\n'));
    }

    [Theory]
    [InlineData("kernel 'gelu' is not known: use one of layer_norm_modulate, ", "kernels", "--only", "gelu")]
    [InlineData("preset '5B' is not known", "kernels", "--preset", "5B")]
    [InlineData("preset '5B' is not known", "generate", "--preset", "5B")]
    [InlineData("size '80x480x832'", "generate", "--size", "80x480x832")]
    [InlineData("steps must be from 1", "generate", "--steps", "0")]
    [InlineData("--train, --resident and --batch have no effect with --profile", "dit", "--profile", "--batch", "2")]
    [InlineData("size '80x720x1280'", "vae", "--size", "80x720x1280")]
    [InlineData("size '81x720'", "vae", "--size", "81x720")]
    [InlineData("tile '100x100'", "vae", "--tile", "100x100")]
    [InlineData("dim must be a multiple of 4, found 6", "vae", "--dim", "6")]
    [InlineData("frames-at-once must be 1 or more, found 0", "vae", "--frames-at-once", "0")]
    [InlineData("dim must be a multiple of 64, found 100", "t5", "--dim", "100")]
    [InlineData("tokens must be 1 or more, found 0", "t5", "--tokens", "0")]
    [InlineData("latent '21x61x104'", "dit", "--latent", "21x61x104")]
    public void Wrong_usage_is_one_line_and_exit_code_2(string expected, params string[] arguments)
    {
        var run = NablaGenCommand.Run(["bench", .. arguments]);
        Assert.Equal(2, run.ExitCode);
        Assert.StartsWith("nablagen: " + expected, run.Error);
    }

    private static JsonElement Json(params string[] arguments)
    {
        var run = NablaGenCommand.Run(["bench", .. arguments, "--device", "cpu", "--json"]);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        return JsonDocument.Parse(run.Output).RootElement;
    }
}
