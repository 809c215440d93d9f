using System.Text.Json;

namespace NablaGen.Tests.Cli;

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

    [Theory]
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
        var run = NablaGenProcess.Run(["bench", .. arguments]);
        Assert.Equal(2, run.ExitCode);
        Assert.StartsWith("nablagen: " + expected, run.Error);
    }

    private static JsonElement Json(params string[] arguments)
    {
        var run = NablaGenProcess.Run(["bench", .. arguments, "--device", "cpu", "--json"]);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        return JsonDocument.Parse(run.Output).RootElement;
    }
}
