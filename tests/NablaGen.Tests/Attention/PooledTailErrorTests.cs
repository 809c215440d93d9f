using NablaGen.Attention;
using NablaGen.Attention.Cpu;
using NablaGen.Denoising;
using NablaGen.Generation;
using NablaGen.Models;
using NablaGen.Tests.Training;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Tests.Attention;

/// <summary>The pooled tail on queries, keys and values of the model in the box.</summary>
public class PooledTailErrorTests
{
    [Fact]
    public void No_layer_is_further_from_dense_with_the_tail_than_without()
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var model = VideoModel.Open(Toys.Box);
        using var pipeline = new TextToVideo(model, CPU, ScalarType.Float32);
        var request = new PartialRequest { Prompt = "a red ball bounces on grass", Seed = 3, Steps = 2, Guidance = 1, Attention = AttentionExpression.Dense }
            .ToRequest(GenerationDefaults.Of(model));
        var errors = new Errors("nabla-0.4", "nabla-0.4+tail");
        var prepared = pipeline.Prepare([request]);
        pipeline.UseTransformer(prepared, null, (sampler, _) =>
        {
            using var inner = NewDisposeScope();
            var latents = LatentSampler.Noise(request.LatentShape(model.Latents), request.Seed).unsqueeze(0);
            using var solver = Solvers.Create(request.Solver, request.Steps, request.Shift, request.Timesteps);
            using var denoiser = new Denoiser(
                sampler.Model, latents.shape, errors, prepared[0].Conditioning, new DenoiserOptions(request.Guidance));
            for (var step = 0; step < request.Steps; step++)
            {
                latents = solver.Step(denoiser.Velocity(latents, solver.Schedule.Timesteps[step], step), latents);
            }

            return 0;
        });

        prepared[0].Dispose();
        var found = errors.ByLayer.OrderBy(layer => layer.Key).Select(layer => (layer.Key, Without: layer.Value[0], With: layer.Value[1])).ToArray();
        Assert.Equal(model.Transformer.Layers, found.Length);
        Assert.All(found, layer => Assert.True(layer.With <= layer.Without, $"layer {layer.Key}: squared error {layer.Without} without the tail, {layer.With} with it"));
        Assert.True(found.Sum(layer => layer.With) < 0.9 * found.Sum(layer => layer.Without));
    }

    /// <summary>Dense attention that measures others: their squared error by layer, relative to the output.</summary>
    private sealed class Errors(params string[] expressions) : IAttention
    {
        private readonly CpuBlockSparseBackend _backend = new();

        public Dictionary<int, double[]> ByLayer { get; } = [];

        public Tensor Forward(Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionSite site, BlockMeans? means = null)
        {
            using var scope = NewDisposeScope();
            var dense = functional.scaled_dot_product_attention(q, k, v);
            var sums = ByLayer.TryGetValue(site.Layer, out var known) ? known : ByLayer[site.Layer] = new double[expressions.Length];
            for (var i = 0; i < expressions.Length; i++)
            {
                var output = _backend.Forward(q, k, v, layout, AttentionExpression.Parse(expressions[i]), out _);
                sums[i] += ((output - dense).square().sum() / dense.square().sum()).item<float>();
            }

            return dense.MoveToOuterDisposeScope();
        }

        public void Dispose() => _backend.Dispose();
    }
}
