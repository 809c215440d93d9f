using NablaGen.Cuda.Attention;
using NablaGen.Models;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using NablaGen.Tests.Cuda;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models.Vae;

/// <summary>The frames that layers keep where each is by itself, and the room for them.</summary>
public class FeatureCacheTests
{
    private const long Small = 4 * 2 * 3, Large = 4 * 4 * 6;

    // Two layers of small frames, then two of large ones, which have a spare place for each frame of a chunk.
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    public void The_last_frames_are_kept_where_they_were(int chunk)
    {
        using var scope = NewDisposeScope();
        nn.Module[] layers = [.. Enumerable.Range(0, 4).Select(_ => nn.Identity())];
        var room = 2 * (2 * Small) + 2 * (2 * Large) + chunk * Large;
        using var cache = new FeatureCache(room, ScalarType.Float32, CPU);
        var places = new HashSet<nint>();
        var number = 0;
        for (var round = 0; round < 5; round++)
        {
            // A video begins with a single frame.
            var count = round == 0 ? 1 : chunk;
            foreach (var (i, layer) in layers.Index())
            {
                var before = cache.Frames(layer);
                Assert.Equal(Enumerable.Range(number - before.Count, before.Count).Select(value => (float)(10 * value + i)), before.Select(Value));
                Assert.Equal(Math.Min(number, 2), before.Count);
                long[] shape = i < 2 ? [1, 4, 1, 2, 3] : [1, 4, 1, 4, 6];
                List<Tensor> frames = [.. before];
                for (var frame = 0; frame < count; frame++)
                {
                    frames.Add(cache.Rent(shape, ScalarType.Float32, CPU).fill_(10 * (number + frame) + i));
                }

                Assert.Equal(frames.Count, frames.Select(TensorMemory.Address).Distinct().Count());
                cache.Keep(layer, frames, count, 2);
                if (round > 1)
                {
                    places.UnionWith(cache.Frames(layer).Select(TensorMemory.Address));
                }
            }

            number += count;
        }

        // All in one piece of memory, whose places do not become more.
        Assert.InRange(places.Max() - places.Min(), 0, (room - 1) * sizeof(float));
        Assert.InRange(places.Count, 8, 8 + chunk);
    }

    [Fact]
    public void Frames_without_room_have_memory_of_their_own()
    {
        using var scope = NewDisposeScope();
        using var cache = new FeatureCache();
        var layer = nn.Identity();
        for (var number = 0; number < 5; number++)
        {
            List<Tensor> frames = [.. cache.Frames(layer), cache.Rent([1, 4, 1, 2, 3], ScalarType.Float32, CPU).fill_(number)];
            Assert.Equal(Enumerable.Range(Math.Max(0, number - 2), Math.Min(number, 2) + 1).Select(value => (float)value), frames.Select(Value));
            cache.Keep(layer, frames, 1, 2);
        }
    }

    // Wan's channels; the box's, of which some layers are libtorch's; Wan2.2's shape.
    [Theory, Trait("gpu", "true")]
    [InlineData(96, null, 1)]
    [InlineData(96, null, 4)]
    [InlineData(16, null, 1)]
    [InlineData(32, 64, 1)]
    public void A_decode_keeps_its_frames_in_the_room(int dim, int? decoderDim, int framesAtOnce)
    {
        Gpu.Require(AttentionKernel.Hopper);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var config = decoderDim is null ? RandomVae.Config(dim) : VaeConfig.Wan22 with { Dim = dim, DecoderDim = decoderDim };
        using var model = RandomVae.Create(config, new ModuleOptions(CUDA, ScalarType.BFloat16));
        var latents = randn([1, config.ZDim, 4, 30, 52]).to(CUDA);
        var tiling = new VaeTiling(FramesAtOnce: framesAtOnce);
        model.Decode(latents, _ => { }, tiling);
        var (before, most) = (DeviceCache.AllocatedBytes(CUDA), 0L);
        model.Decode(latents, _ => most = Math.Max(most, DeviceCache.AllocatedBytes(CUDA)), tiling);
        var (height, width) = (30 * config.SpatialStride, 52 * config.SpatialStride);
        var room = 2 * VaeMemory.Room(config, latents.shape, VaeTile.Whole(30, 52, config), true, framesAtOnce);
        var work = VaeMemory.Work(config, 13, height, width, ScalarType.BFloat16, tiling, apart: true);
        // Between chunks there are the room, the frames that libtorch's convolutions keep, and the colours.
        var colours = 3L * 4 * height * width * (sizeof(float) + sizeof(short));
        TestContext.Current.TestOutputHelper!.WriteLine($"{(most - before) >> 10} KiB between chunks, room {room >> 10} KiB, at the peak {work >> 10} KiB expected");
        Assert.InRange(most - before, room, work + colours);
        if (config.Dim == RandomVae.Config(96).Dim)
        {
            Assert.InRange(most - before, room, room + colours + (8 << 20));
        }
    }

    private static float Value(Tensor frame) => frame.mean().item<float>();
}
