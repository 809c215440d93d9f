using NablaGen.Models;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models.Vae;

/// <summary>Encoding in tiles and a few frames at a time.</summary>
public class VaeEncodingTilesTests
{
    [Theory]
    [InlineData("vae", 0, 0, 1)]
    [InlineData("vae", 0, 24, 4)]
    [InlineData("vae", 32, 0, 3)]
    [InlineData("family/vae22", 0, 0, 1)]
    [InlineData("family/vae22", 16, 48, 2)]
    public void An_encoding_in_pieces_equals_the_whole(string name, int height, int width, int framesAtOnce)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var golden = Golden.Open(name);
        using var model = golden.Vae();
        Golden.AssertClose(model.Encode(golden["clip"], new VaeTiling(height, width, framesAtOnce)), golden["encoded"], 1e-5);
    }

    // Wide enough for tiles that see neither edge, in either direction.
    [Theory]
    [InlineData(false, 176, 64)]
    [InlineData(true, 32, 96)]
    public void Tiles_show_no_seam(bool hasShortcuts, int height, int width)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        // One block a level: a margin of 5 latent pixels.
        var config = (hasShortcuts ? VaeConfig.Wan22 with { Dim = 4, DecoderDim = 4 } : RandomVae.Config(4)) with { NumResBlocks = 1 };
        using var model = RandomVae.Create(config, ModuleOptions.Cpu);
        using var generator = new Generator(4);
        var video = randn([1, 3, 5, height, width * 4], generator: generator);
        var whole = model.Encode(video);
        Golden.AssertClose(model.Encode(video, new VaeTiling(64, width, 1)), whole, 1e-5);
        // A tile without its surroundings would show: the test sees a margin that is too narrow.
        Assert.True(Golden.RelativeError(model.Encode(video.narrow(4, 0, width)), whole.narrow(4, 0, width / config.SpatialStride)) > 1e-3);
    }

    [Fact]
    public void A_tile_of_wans_encoder_needs_nine_latent_pixels_around_it()
    {
        Assert.Equal((9, 5), (VaeEncodingTile.Margin(VaeConfig.Wan21), VaeEncodingTile.Margin(VaeConfig.Wan21 with { NumResBlocks = 1 })));
        var tiles = VaeEncodingTile.Cut(new VaeTiling(256, 256), 90, 160, VaeConfig.Wan21);
        Assert.Equal(15, tiles.Count);
        Assert.Equal(new VaeEncodingTile(new VaeRegion(30, 32, 30, 32), new VaeRegion(168, 184, 384, 400), new VaeRegion(21, 23, 48, 50)), tiles[6]);
        Assert.Equal(90 * 160, tiles.Sum(tile => tile.Core.Area));
    }

    [Fact]
    public void An_encoding_stops_between_latent_frames()
    {
        using var scope = NewDisposeScope();
        using var model = RandomVae.Create(RandomVae.Config(4), ModuleOptions.Cpu);
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        var video = zeros([1, 3, 5, 32, 32]);
        Assert.Throws<OperationCanceledException>(() => model.Encode(video, cancellation: stop.Token));
        Assert.Throws<OperationCanceledException>(() => model.Encode(video, new VaeTiling(16, 16), stop.Token));
    }
}
