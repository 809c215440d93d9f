using NablaGen.Attention;
using NablaGen.Tensors;
using NablaGen.Tensors.Layers;
using NablaGen.Tensors.Matrices;
using TorchSharp.Modules;
using static NablaGen.Models.LayerOperation;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Dit;

/// <summary>What a pass through Wan's transformer consists of, operation by operation, for measurements.</summary>
internal static class WanOperations
{
    /// <summary>The operations, each to be run before the next is asked for.</summary>
    /// <param name="config">The transformer's sizes.</param>
    /// <param name="latents">The latents' shape. [C, T', h, w]</param>
    /// <param name="expression">The self-attention.</param>
    /// <param name="options">Where, and in which type.</param>
    public static IEnumerable<LayerOperation> Of(DitConfig config, long[] latents, AttentionExpression expression, ModuleOptions options)
    {
        using var scope = NewDisposeScope();
        using var attention = AttentionFactory.Create(expression, options.Device, denseSteps: 0, eightBits: options.EightBitAttention);
        using var run = new DitRun(config, (int)latents[1], (int)latents[2], (int)latents[3], attention, options);
        int layers = config.NumLayers, tokens = run.Layout.Tokens, dim = config.Dim, wide = config.FfnDim, text = config.TextLen;
        var ops = run.Ops;
        Tensor Random(ScalarType type, params long[] shape) => randn(shape, device: options.Device).to_type(type);
        Tensor Heads(Tensor x) => x.unflatten(2, [config.NumHeads, -1]).transpose(1, 2);

        var stream = Random(ScalarType.Float32, 1, tokens, dim);
        var (x, y) = (Random(options.Dtype, 1, tokens, dim), Random(options.Dtype, 1, tokens, dim));
        var prompt = Random(options.Dtype, 1, text, dim);
        var m = Random(ScalarType.Float32, 1, 6, dim).chunk(6, 1);
        using var square = Filled(new AutocastLinear(dim, dim, options));
        using var widen = Filled(new AutocastLinear(dim, wide, options));
        using var narrow = Filled(new AutocastLinear(wide, dim, options));
        using var norm = new WanLayerNorm(dim, config.Eps, options);
        using var headNorm = Filled(new WanRmsNorm(dim, config.Eps, options));
        double element = options.Dtype == ScalarType.Float32 ? 4 : 2, pixels = (double)tokens * dim;

        // Products in fp8 get rows that the op before has quantised; an attention's output has a pass of its own.
        Activation For(AutocastLinear layer, Tensor input) => layer.Matrix.TakesRowScales ? Fp8Rows.Quantize(input) : input;
        var isFp8 = square.Matrix.TakesRowScales;
        var (ready, readyToNarrow) = (For(square, x), narrow.Matrix.TakesRowScales);
        var joined = AutocastLinear.Adjacent(3, dim, dim, options);
        if (ops.TakesJoinedHeads && AutocastLinear.ForwardJoined(ready, [.. joined.Select(Filled)]) is { } three)
        {
            three.Dispose();
            yield return Product("q, k, v at once", layers, 6.0 * tokens * dim * dim, () => AutocastLinear.ForwardJoined(ready, joined)!);
            yield return Product("o", layers, 2.0 * tokens * dim * dim, () => square.forward(ready));
        }
        else
        {
            yield return Product("q, k, v, o", 4 * layers, 2.0 * tokens * dim * dim, () => square.forward(ready));
        }

        yield return Product("q, o of the cross-attention", 2 * layers, 2.0 * tokens * dim * dim, () => square.forward(ready));
        if (isFp8)
        {
            // An attention in eight bits writes them itself.
            var passes = options.EightBitAttention && config.LowRank == 0 ? 1 : 2;
            yield return Pass("rows of an attention's output to fp8", passes * layers, 3 * pixels, () => Fp8Rows.Quantize(x).Values);
        }

        yield return Product("k, v of the prompt", 2 * layers, 2.0 * text * dim * dim, () => square.forward(prompt));
        yield return Product("feed-forward in, GELU", layers, 2.0 * tokens * dim * wide, () => ops.LinearGelu(widen, ready, readyToNarrow).Values);
        var hidden = For(narrow, Random(options.Dtype, 1, tokens, wide));
        yield return Product("feed-forward out", layers, 2.0 * tokens * dim * wide, () => narrow.forward(hidden));

        yield return Pass("norm, modulation", 1, (4 + element) * pixels, () => ops.Modulate(norm, stream, m[0], m[1], isFp8).Values);
        if (ops.DefersBranches && config.CrossAttnNorm)
        {
            using var affine = Filled(new WanLayerNorm(dim, config.Eps, options, affine: true));
            yield return Pass("norm of a sum that is not kept", layers, (4 + 2 * element) * pixels, () => ops.NormalizeGated(stream, y, m[2], affine, isFp8).Values);
            yield return Pass("two residuals, next norm", layers, (8 + 3 * element) * pixels,
                () => ops.AddTwoAndNormalize(stream, y, m[2], x, norm, isFp8, m[3], m[4]).Normalized.Values);
            yield return Pass("residual, next norm", layers - 1, (8 + 2 * element) * pixels,
                () => ops.AddGatedAndNormalize(stream, y, m[2], norm, isFp8, m[3], m[4]).Normalized.Values);
        }
        else
        {
            yield return Pass("residual, next norm", 3 * layers - 1, (8 + 2 * element) * pixels,
                () => ops.AddGatedAndNormalize(stream, y, m[2], norm, isFp8, m[3], m[4]).Normalized.Values);
        }

        yield return Pass("residual", 1, (8 + element) * pixels, () => ops.AddGated(stream, y, m[5]));
        if (ops.TakesJoinedHeads)
        {
            var all = Random(options.Dtype, 1, tokens, 3 * dim);
            yield return Pass("RMSNorm, RoPE of q and k", layers, 4 * element * pixels,
                () => ops.NormalizeJoinedHeads(headNorm, headNorm, all, config.NumHeads, run.Rope, attention.TakesBlockMeans).Q);
        }
        else
        {
            yield return Pass("RMSNorm, RoPE of q and k", 2 * layers, 2 * element * pixels, () => ops.NormalizeHeads(headNorm, x, config.NumHeads, run.Rope));
        }

        yield return Pass("RMSNorm of the cross-attention's q", layers, 2 * element * pixels, () => ops.NormalizeHeads(headNorm, x, config.NumHeads, null));

        var (q, k) = (Heads(Random(options.Dtype, 1, tokens, dim)), Heads(Random(options.Dtype, 1, tokens, dim)));
        var v = Heads(x);
        var density = Density(expression, options, run.Layout, q, k, v);
        var pairs = 4.0 * tokens * tokens * dim * density;
        yield return Product($"self-attention at density {density:0.000}", layers, pairs, () =>
        {
            var fp8 = isFp8 && config.LowRank == 0 ? new Fp8Output() : null;
            var output = attention.Forward(q, k, v, run.Layout, new AttentionSite(0, 0) { Fp8 = fp8 });
            fp8?.RowScales?.Dispose();
            return output;
        });
        if (config.LowRank > 0)
        {
            Parameter Small(params long[] shape) => new(Random(options.Dtype, shape), requires_grad: false);
            var branch = new LowRankWeights(Small(config.LowRank, config.HeadDim), Small(config.LowRank, config.HeadDim), Small(1, config.HeadDim), Small(1, config.NumHeads, 1, 1));
            var sparse = Heads(Random(options.Dtype, 1, tokens, dim));
            // Queries, keys, values, the gate's input and the sparse output are read, the sum is written.
            yield return Pass("low-rank branch", layers, 6 * element * pixels, () => ops.AddLowRank(branch, sparse, q, k, v, x, run.LowRankRope!));
        }

        var (promptK, promptV) = (Heads(prompt), Heads(prompt));
        yield return Product("cross-attention", layers, 4.0 * tokens * text * dim, () => functional.scaled_dot_product_attention(q, promptK, promptV));
    }

    private static double Density(AttentionExpression expression, ModuleOptions options, BlockLayout layout, Tensor q, Tensor k, Tensor v)
    {
        var meter = new DensityMeter();
        using var attention = AttentionFactory.Create(expression, options.Device, denseSteps: 0, observer: meter, eightBits: options.EightBitAttention);
        attention.Forward(q, k, v, layout, new AttentionSite(0, 0)).Dispose();
        return meter.Mean!.Value;
    }

    private static T Filled<T>(T module)
        where T : Module
    {
        foreach (var (_, parameter) in module.PlainParameters())
        {
            parameter.normal_(0, 0.02);
        }

        foreach (var (_, matrix) in module.Matrices())
        {
            matrix.Load(new RandomNumbers());
        }

        return module;
    }

    private sealed class RandomNumbers : IMatrixValues
    {
        public string Name => "random numbers";

        public StoredNumbers? Stored => null;

        public void CopyTo(Tensor target) => target.normal_(0, 0.02);
    }
}
