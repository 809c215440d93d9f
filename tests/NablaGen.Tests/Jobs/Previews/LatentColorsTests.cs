using NablaGen.Denoising;
using NablaGen.Jobs.Previews;
using NablaGen.Models;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Vae;
using NablaGen.Video;
using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Tests.Jobs.Previews;

public class LatentColorsTests
{
    [Fact]
    public void An_encoder_that_mixes_colours_is_undone()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(4);
        var config = VaeConfig.Wan21;
        var (mix, shift) = (randn([config.ZDim, 3], generator: generator), randn([config.ZDim, 1], generator: generator));
        var colors = LatentColors.Fit(Encode, config.Traits);
        var flat = Flat(generator, 20, 96);
        var rgb = stack(Encode(flat).unbind(0).Select(colors.ToRgb));
        Assert.Equal([20, 3, 1, 12, 12], rgb.shape);
        Assert.InRange((rgb.mean([2, 3, 4]) - flat.mean([2, 3, 4])).abs().max().item<float>(), 0, 0.02);

        // Pooled, mixed, and a little noise.
        Tensor Encode(Tensor video)
        {
            var first = nn.functional.avg_pool2d(video.narrow(2, 0, 1).squeeze(2), config.SpatialStride);
            var latents = (mix.matmul(first.flatten(2)) + shift).reshape(first.shape[0], config.ZDim, 1, first.shape[2], first.shape[3]);
            latents = latents.repeat(1, 1, (video.shape[2] - 1) / config.TemporalStride + 1, 1, 1);
            return latents + randn(latents.shape, generator: generator) * 0.02;
        }
    }

    [Fact]
    public void A_vaes_flat_colours_come_back_about_as_well_as_a_linear_map_can()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var golden = Golden.Open("vae");
        using var vae = golden.Vae();
        // Colours that were not fitted.
        using var generator = new Generator(9);
        var flat = Flat(generator, 150, 64);
        var latents = vae.Encode(flat);
        var wanted = flat.mean([2, 3, 4]);
        var colors = LatentColors.Fit(vae, vae.Config.Traits, CPU);
        var found = stack(latents.unbind(0).Select(latent => colors.ToRgb(latent).mean([1, 2, 3])));

        var x = cat([latents.mean([2, 3, 4]), ones(150, 1)], 1);
        var best = x.matmul(linalg.lstsq(x, wanted).Solution);
        var (error, least, spread) = (Error(found), Error(best), Error(wanted.mean([0], keepdim: true)));
        TestContext.Current.TestOutputHelper!.WriteLine($"rms error {error:0.000}, the best map's {least:0.000}, colours' spread {spread:0.000}");
        // A VAE of random weights is far from linear, and the map is fitted to soft pictures as well.
        Assert.InRange(error, 0, Math.Max(2 * least, 0.02));
        Assert.InRange(error, 0, 0.9 * spread);

        double Error(Tensor rgb) => Math.Sqrt((rgb - wanted).square().mean().item<float>());
    }

    private static Tensor Flat(Generator generator, int count, int side) =>
        (rand([count, 3, 1, 1, 1], generator: generator) * 1.6 - 0.8).expand(-1, -1, -1, side, side).contiguous();

    [Fact]
    public void The_map_is_fitted_once_and_kept()
    {
        using var folder = new TempFolder();
        GoldenModelFolder.Assemble(folder["model"]);
        using var scope = NewDisposeScope();
        var model = WanVideoModel.Open(folder["model"]);
        var path = Path.Combine(folder["cache"], ModelHash.Compute([model.VaePath]) + ".json");
        var latents = randn([model.VaeConfig.ZDim, 2, 3, 5]);
        var first = LatentColors.Of(model, CPU, folder["cache"]).ToRgb(latents);
        Assert.True(File.Exists(path));
        Assert.True(first.eq(LatentColors.Of(model, CPU, folder["cache"]).ToRgb(latents)).all().item<bool>());
        File.WriteAllText(path, "[[1]]");
        Assert.True(first.eq(LatentColors.Of(model, CPU, folder["cache"]).ToRgb(latents)).all().item<bool>());
    }

    [Fact]
    public void A_preview_that_cannot_be_written_warns_once()
    {
        using var scope = NewDisposeScope();
        using var folder = new TempFolder();
        var warnings = new List<string>();
        var latents = randn([1, 2, 2, 4, 6]);
        var colors = LatentColors.Of(new LatentColorMap("0", [1, 0, 0, 0, 1, 0, 1, 1, 0], [0, 1, 0, 1, 0, 0, 1, 1, 0]));
        ISamplingObserver writer = new PreviewWriter(folder["a.gif"], 2, 4, colors, warnings.Add);
        writer.OnPrediction(0, latents);
        Assert.Empty(folder.Files);
        writer.OnPrediction(1, latents);
        Assert.Equal((24, 16, 2), VideoProbe.Read(folder["a.gif"]) is var gif ? (gif.Width, gif.Height, gif.FrameCount) : default);
        Directory.Delete(folder.Path, recursive: true);
        File.WriteAllText(folder.Path, "a file where the folder was");
        writer.OnPrediction(3, latents);
        writer.OnPrediction(5, latents);
        Assert.StartsWith("no more previews: ", Assert.Single(warnings));
        File.Delete(folder.Path);
        Directory.CreateDirectory(folder.Path);
    }
}
