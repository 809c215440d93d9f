using NablaGen.Cli;
using NablaGen.Jobs.Previews;
using NablaGen.Models;
using NablaGen.Models.Wan;
using NablaGen.Tensors;
using NablaGen.Training.Models;
using NablaGen.Training.Vae;
using NablaGen.Training.World;
using static TorchSharp.torch;

namespace NablaGen.Tests.Jobs.Previews;

public class PreviewColorsTests
{
    private const double LeastPsnr = 18;

    [Fact]
    public void The_box_shows_true_colours()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var model = WanVideoModel.Open(Box);
        // With another VAE the map would be of no use: train preview fits it anew.
        Assert.Equal(model.ComputeVaeHash(), model.PreviewColors!.Vae);
        using var vae = ModelFiles.LoadVae(Box, model.VaeConfig, new ModuleOptions(CPU, ScalarType.Float32));
        using var world = new ShapeWorld(WorldSplit.All, 77);
        using var clips = new HardClips(world).Next(0, 2, new ClipSize(9, 96, 96), CPU);
        var psnr = clips.Frames.unbind(0).Select(clip => PreviewMeter.Measure(LatentColors.Of(model, CPU, "no folder"), vae, clip.unsqueeze(0))).ToArray();
        TestContext.Current.TestOutputHelper!.WriteLine(string.Join(" ", psnr.Select(one => $"{one:0.0} dB")));
        Assert.InRange(psnr.Average(), LeastPsnr, 60);
    }

    [Fact]
    public void The_first_latent_frame_and_later_ones_are_fitted_apart()
    {
        using var scope = NewDisposeScope();
        // Two channels: the first is red at first and green later on; the constant is blue.
        var map = new LatentColorMap("0", [1, 0, 0, 0, 0, 0, 0, 0, 0.5f], [0, 0, 0, 1, 0, 0, 0, 0, 0.5f]);
        var rgb = LatentColors.Of(map).ToRgb(tensor(new[] { 0.25f, 0.5f, 0.75f, 9, 9, 9 }, [2, 3, 1, 1]));
        Assert.Equal([0.25f, 0, 0, 0, 0.5f, 0.75f, 0.5f, 0.5f, 0.5f], rgb.flatten().data<float>());
    }

    [Fact]
    public void A_fit_finds_what_a_vae_decodes()
    {
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("vae");
        using var vae = golden.Vae();
        using var world = new ShapeWorld(WorldSplit.All, 3);
        ClipBatch Clip(int i) => world.Next(i, 1, new ClipSize(5, 32, 32), CPU);
        var map = LatentColorFit.Fit(vae, "abc", Enumerable.Range(0, 3).Select(Clip));
        Assert.Equal(("abc", 3 * (vae.Config.ZDim + 1)), (map.Vae, map.Later.Count));
        Assert.NotEqual(map.First, map.Later);
        using var clip = Clip(1);
        var grey = new LatentColorMap("abc", [.. map.First.Select(_ => 0f)], [.. map.Later.Select(_ => 0f)]);
        Assert.InRange(PreviewMeter.Measure(LatentColors.Of(map), vae, clip.Frames), PreviewMeter.Measure(LatentColors.Of(grey), vae, clip.Frames) + 3, 100);
    }

    [Fact]
    public void The_file_keeps_the_map_and_refuses_one_of_other_channels()
    {
        using var folder = new TempFolder();
        var map = new LatentColorMap("abc", [.. Enumerable.Range(0, 51).Select(i => i / 8f)], [.. Enumerable.Range(0, 51).Select(i => -i / 8f)]);
        (new NablaGenJson { Preview = map }).Save(folder["a.json"]);
        var read = NablaGenJson.Open(folder["a.json"]).Preview!;
        Assert.Equal(map.Vae, read.Vae);
        Assert.Equal(map.First, read.First);
        Assert.Equal(map.Later, read.Later);
        (new NablaGenJson { Preview = map with { First = [1, 2, 3] } }).Save(folder["a.json"]);
        Assert.Contains("preview.first", Assert.Throws<NablaGenException>(() => NablaGenJson.Open(folder["a.json"])).Message);
    }

    private static string Box => Path.GetDirectoryName(ModelLocator.InTheBox("config.json"))!;
}
