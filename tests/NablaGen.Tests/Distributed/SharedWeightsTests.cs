using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Distributed;
using NablaGen.Generation;
using NablaGen.Memory;
using NablaGen.Models;
using NablaGen.Models.Streaming;
using NablaGen.Tensors;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace NablaGen.Tests.Distributed;

/// <summary>Ranks that hold a transformer's layers together, a part of each layer each.</summary>
public class SharedWeightsTests
{
    // Heads over two, and both passes of guidance over two each.
    [Theory]
    [InlineData(2, 1, 0)]
    [InlineData(4, 5, 1)]
    public void Latents_are_those_of_one_rank_with_all_weights(int ranks, double guidance, int resident)
    {
        var request = GoldenSampling.Request("nabla-0.5", steps: 2) with { Guidance = guidance };
        var expected = Run(request, null, null);
        var all = RankThreads.Run(ranks, world => Run(
            request, world, new LayerPlacement(resident, 2) { Sharing = RankSharing.Of(world, RankSplit.Of(ranks, guidance, null, isGuided: guidance != 1)) }));
        Assert.All(all, latents => Assert.Equal(expected, latents));
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public void Parts_make_a_layer_of_two_types_again(int count) => Assert.All(RankThreads.Run(count, world => Gathers(world, CPU)), Assert.True);

    /// <summary>Whether a layer that all ranks hold together comes out whole on this one.</summary>
    internal static bool Gathers(ICommunicator world, Device device)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var layer = new Linears(null);
        using var whole = ParameterPool.For(layer, CPU);
        using var filled = new Linears(whole);
        filled.Fill();
        using var part = whole.Part(world.Rank, world.Size, device);
        using var slot = ParameterPool.For(layer, device);
        using var gathered = new Linears(slot);
        using var layers = new GatheredLayers(RankSharing.Of(world, new RankSplit(1, world.Size)));
        layers.Copy(0, part, slot);
        // A part holds no more than the padding adds.
        Assert.True(part.Pieces.Sum(piece => piece.Bytes) <= whole.Pieces.Sum(piece => (piece.Bytes / world.Size) + (2 * Environment.SystemPageSize)));
        return gathered.parameters().Zip(filled.parameters()).All(pair => RankThreads.Same(pair.First.cpu(), pair.Second));
    }

    // 7 layers of which 2 slots and 7 halves take the room of 5.5.
    [Fact]
    public void A_model_that_does_not_fit_on_one_rank_is_shared_out_and_makes_the_same_video()
    {
        var model = ModelFamilies.Open(Path.Combine(GoldenFolder.Path, "..", "..", "models", "tiny"));
        var request = new PartialRequest { Prompt = "x", Seed = 3, Steps = 1, Guidance = 1, Frames = 1, Width = 144, Height = 64 }.ToRequest(GenerationDefaults.Of(model));
        var memory = new GenerationMemory(model, CPU, ScalarType.Float32, keepLoaded: true, null, null) { PartsOf = _ => 2 };
        MemoryPlan? Plan(long budget)
        {
            memory.Host = () => new HostMemory(budget, budget);
            memory.ReadAgain();
            try
            {
                return memory.Plan([request]);
            }
            catch (NablaGenException)
            {
                return null;
            }
        }

        var plenty = Plan(1L << 40)!;
        Assert.Equal((1, 0), (plenty.Parts, plenty.StreamedLayers));
        var least = plenty.Peak + (plenty.Peak / 10);
        for (; Plan(least) is not { Parts: 2 }; least -= 1 << 19)
        {
            Assert.True(Plan(least) is not null, $"nothing between all layers and too little: {string.Join(", ", plenty.Peaks)}");
        }

        float[] Make(ICommunicator? world)
        {
            using var scope = NewDisposeScope();
            using var pipeline = new TextToVideo(model, CPU, ScalarType.Float32, keepLoaded: true) { World = world, Host = world is null or { Rank: 0 } ? null : () => new HostMemory(least, least) };
            var seen = new LastLatents();
            // Twice: who has room keeps what it has loaded otherwise.
            for (var i = 0; i < (world is null ? 1 : 2); i++)
            {
                if (world is { Rank: > 0 })
                {
                    pipeline.Assist(request, TestContext.Current.CancellationToken);
                }
                else
                {
                    pipeline.Measure(request, observer: seen, cancellation: TestContext.Current.CancellationToken);
                }
            }

            return seen.Latents;
        }

        Assert.Equal(Make(null), RankThreads.Run(2, Make)[0]);
    }

    private static float[] Run(GenerationRequest request, ICommunicator? world, LayerPlacement? placement)
    {
        using var scope = NewDisposeScope();
        return GoldenSampling.Run(request, null, world, placement).data<float>().ToArray();
    }

    private sealed class LastLatents : ISamplingObserver
    {
        public float[] Latents { get; private set; } = [];

        public void OnDense(AttentionSite site)
        {
        }

        public void OnSparse(AttentionSite site, IKeptBlocks kept)
        {
        }

        public void OnStep(int step, Tensor latents) => Latents = latents.cpu().data<float>().ToArray();
    }

    private sealed class Linears : nn.Module
    {
        public Linears(ParameterPool? pool)
            : base(nameof(Linears))
        {
            Parameter Make(string name, ScalarType type, params long[] shape)
            {
                var parameter = new Parameter(pool?.Take(shape, type) ?? empty(shape, type), requires_grad: false);
                register_parameter(name, parameter);
                return parameter;
            }

            Make("weight", ScalarType.BFloat16, 37, 41);
            Make("bias", ScalarType.Float32, 37);
            Make("scale", ScalarType.Float32, 1);
        }

        public void Fill()
        {
            var next = 1;
            foreach (var parameter in parameters())
            {
                parameter.copy_(arange(next, next + parameter.numel()).view(parameter.shape));
                next += 5;
            }
        }
    }
}
