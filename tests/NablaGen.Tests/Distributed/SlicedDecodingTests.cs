using NablaGen.Generation;
using NablaGen.Models;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using NablaGen.Tests.Models.Vae;
using static TorchSharp.torch;

namespace NablaGen.Tests.Distributed;

/// <summary>A video that several ranks decode is the video of one.</summary>
public class SlicedDecodingTests
{
    // Slices that see neither edge, uneven ones, and more ranks than there are rows for.
    [Theory]
    [InlineData("vae", 2, 1)]
    [InlineData("vae", 3, 4)]
    [InlineData("Wan2.1", 4, 1)]
    [InlineData("Wan2.2", 2, 4)]
    public void Frames_are_those_of_one_rank(string name, int ranks, int framesAtOnce)
    {
        var all = RankThreads.Run(ranks, world =>
        {
            using var scope = NewDisposeScope();
            using var golden = name == "vae" ? Golden.Open(name) : null;
            using var model = golden?.Vae()
                ?? RandomVae.Create(name == "Wan2.1" ? VaeConfig.Wan21 with { Dim = 4 } : VaeConfig.Wan22 with { Dim = 4, DecoderDim = 4 }, ModuleOptions.Cpu);
            var latents = golden?["z"] ?? RandomVae.Smooth(2, 13, 6).repeat([1, model.Config.ZDim / 16, 1, 1, 1]);
            var rows = latents.shape[3];
            var sliced = SlicedDecoding.Agree(world, rows, new VaeTiling(FramesAtOnce: world.Rank == 0 ? framesAtOnce : 2));
            if (sliced is null)
            {
                return $"alone with {rows} rows";
            }

            Assert.Equal(framesAtOnce, sliced.Tiling.FramesAtOnce);
            Assert.Equal(world.Rank < rows / 4, sliced.HasPart);
            var frames = new List<Tensor>();
            using var noGrad = no_grad();
            if (sliced.HasPart)
            {
                model.Decode(latents, part =>
                {
                    Assert.True(part.shape[3] < latents.shape[3] * model.Config.SpatialStride);
                    if (sliced.Collect(part, rows) is { } whole)
                    {
                        frames.Add(whole.DetachFromDisposeScope());
                    }
                }, sliced.Tiling);
            }
            else
            {
                for (var frame = 0L; frame < latents.shape[2]; frame++)
                {
                    Assert.Null(sliced.Collect(null, rows));
                }
            }

            world.Barrier();
            if (world.Rank == 0)
            {
                var video = cat(frames, 2);
                Golden.AssertClose(video, golden?["decoded"] ?? RandomVae.Decode(model, latents), 1e-5);
                frames.ForEach(one => one.Dispose());
            }

            return "together";
        });
        Assert.All(all, result => Assert.Equal("together", result));
    }

    [Fact]
    public void Rank_0_decodes_alone_where_it_needs_tiles_or_there_are_few_rows()
    {
        Assert.All(RankThreads.Run(2, world => SlicedDecoding.Agree(world, 64, new VaeTiling(world.Rank == 0 ? 128 : 0)) is null), Assert.True);
        Assert.All(RankThreads.Run(2, world => SlicedDecoding.Agree(world, 7, VaeTiling.None) is null), Assert.True);
        Assert.All(RankThreads.Run(2, world => SlicedDecoding.Agree(world, 8, VaeTiling.None) is null), Assert.False);
    }
}
