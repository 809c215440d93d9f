using NablaGen.Jobs.Benchmarks;
using NablaGen.Models;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models.Vae;

public class VaeTilingTests
{
    [Theory]
    [InlineData(0, 0, 1)]
    [InlineData(0, 0, 3)]
    [InlineData(0, 24, 4)]
    [InlineData(32, 0, 2)]
    [InlineData(8, 24, 4)]
    [InlineData(40, 56, 1)]
    public void A_decode_in_pieces_equals_the_whole(int height, int width, int framesAtOnce)
    {
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("vae");
        using var model = golden.Vae();
        Golden.AssertClose(RandomVae.Decode(model, golden["z"], new VaeTiling(height, width, framesAtOnce)), golden["decoded"], 1e-5);
    }

    [Theory]
    [InlineData(0, 0, 1)]
    [InlineData(32, 0, 4)]
    [InlineData(16, 48, 2)]
    public void A_decode_with_level_shortcuts_in_pieces_equals_the_whole(int height, int width, int framesAtOnce)
    {
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("family/vae22");
        using var model = golden.Vae();
        Golden.AssertClose(RandomVae.Decode(model, golden["z"], new VaeTiling(height, width, framesAtOnce)), golden["decoded"], 1e-5);
    }

    // Wide enough that a tile's margin is cut at every level.
    [Fact]
    public void Tiles_with_level_shortcuts_show_no_seam()
    {
        using var scope = NewDisposeScope();
        using var model = RandomVae.Create(VaeConfig.Wan22 with { Dim = 4, DecoderDim = 4 }, ModuleOptions.Cpu);
        using var generator = new Generator(3);
        var latents = randn([1, 48, 2, 5, 24], generator: generator);
        Golden.AssertClose(RandomVae.Decode(model, latents, new VaeTiling(0, 64)), RandomVae.Decode(model, latents), 1e-5);
    }

    // Wide enough for tiles that see neither edge, and for a margin of which something is cut at every level.
    [Theory]
    [InlineData(16, 0)]
    [InlineData(64, 64)]
    [InlineData(88, 72)]
    public void Smooth_frames_show_no_seam(int height, int width)
    {
        using var scope = NewDisposeScope();
        using var model = RandomVae.Create(RandomVae.Config(8), ModuleOptions.Cpu);
        var latents = RandomVae.Smooth(2, 22, 27);
        var whole = RandomVae.Decode(model, latents);
        var tiled = RandomVae.Decode(model, latents, new VaeTiling(height, width));
        Golden.AssertClose(tiled, whole, 1e-5);
        Assert.InRange(TensorPsnr.Of(tiled, whole), 90, double.PositiveInfinity);
    }

    [Fact]
    public void A_margin_too_narrow_would_show()
    {
        // The test above sees a seam: a tile without its surroundings is no copy of the frame.
        using var scope = NewDisposeScope();
        using var model = RandomVae.Create(RandomVae.Config(8), ModuleOptions.Cpu);
        var latents = RandomVae.Smooth(2, 16, 16);
        var whole = RandomVae.Decode(model, latents).narrow(4, 0, 64);
        var alone = RandomVae.Decode(model, latents.narrow(4, 0, 8));
        Assert.InRange(TensorPsnr.Of(alone, whole), 0, 45);
    }

    [Theory]
    [InlineData(90, 160, 0, 0, 1)]
    [InlineData(90, 160, 720, 1280, 1)]
    [InlineData(90, 160, 360, 1280, 2)]
    [InlineData(90, 160, 256, 256, 15)]
    [InlineData(11, 7, 8, 8, 77)]
    public void Tiles_cover_the_frame_once(int rows, int columns, int height, int width, int count)
    {
        var tiles = VaeTile.Cut(new VaeTiling(height, width), rows, columns, VaeConfig.Wan21);
        Assert.Equal(count, tiles.Count);
        var seen = new int[rows * 8, columns * 8];
        foreach (var core in tiles.Select(tile => tile.Core))
        {
            Assert.InRange(core.Height, 8, height == 0 ? rows * 8 : height);
            Assert.InRange(core.Width, 8, width == 0 ? columns * 8 : width);
            for (var y = core.Top; y < core.Top + core.Height; y++)
            {
                for (var x = core.Left; x < core.Left + core.Width; x++)
                {
                    seen[y, x]++;
                }
            }
        }

        Assert.All(seen.Cast<int>(), times => Assert.Equal(1, times));
    }

    [Fact]
    public void A_tile_of_wans_decoder_needs_seven_latent_pixels_around_it()
    {
        var tile = new VaeTile(new VaeRegion(40, 40, 10, 10), new VaeRegion(0, 0, 90, 160), VaeConfig.Wan21);
        Assert.Equal(new VaeRegion(33, 33, 24, 24), tile.Start);
        Assert.Equal(new VaeRegion(313, 313, 94, 94), tile.Entries[^1]);
        Assert.Equal(new VaeRegion(319, 319, 82, 82), tile.Exits[^1]);
    }
}
