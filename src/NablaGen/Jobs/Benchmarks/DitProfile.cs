using NablaGen.Attention;
using NablaGen.Models.Wan.Dit;
using NablaGen.Tensors;
using NablaGen.Tensors.Layers;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Jobs.Benchmarks;

/// <summary>
/// Where the time of a pass through the transformer goes: each operation of a layer alone, with a full queue, on random data of the pass's own shapes, and
/// beside it the floor that the device's rates for products and memory set, measured in the same run.
/// </summary>
public sealed class DitProfile : IDisposable
{
    private readonly DitConfig _config;
    private readonly ModuleOptions _options;
    private readonly int _repeats;
    private readonly AttentionExpression _expression;
    private readonly DensityMeter _meter = new();
    private readonly IAttention _attention;
    private readonly DitRun _run;
    private readonly double _flopsPerMs;
    private readonly double _bytesPerMs;

    private DitProfile(
        DitConfig config, (int Frames, int Height, int Width) latent, AttentionExpression expression, ModuleOptions options, int repeats)
    {
        (_config, _options, _repeats, _expression) = (config, options, repeats, expression);
        _attention = AttentionFactory.Create(expression, options.Device, denseSteps: 0);
        _run = new DitRun(config, latent.Frames, latent.Height, latent.Width, _attention, options);
        (_flopsPerMs, _bytesPerMs) = Rates();
    }

    /// <summary>Times every operation.</summary>
    /// <param name="config">The transformer's sizes.</param>
    /// <param name="latent">Latent frames, rows, columns.</param>
    /// <param name="expression">The self-attention.</param>
    /// <param name="options">Where, and in which type.</param>
    /// <param name="repeats">Timed calls of each; the median counts.</param>
    public static IReadOnlyList<DitOperation> Run(
        DitConfig config, (int Frames, int Height, int Width) latent, AttentionExpression expression, ModuleOptions options, int repeats)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var profile = new DitProfile(config, latent, expression, options, repeats);
        return [.. profile.Operations()];
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _run.Dispose();
        _attention.Dispose();
    }

    private IEnumerable<DitOperation> Operations()
    {
        using var scope = NewDisposeScope();
        int layers = _config.NumLayers, tokens = _run.Layout.Tokens, dim = _config.Dim, wide = _config.FfnDim, text = _config.TextLen;
        var ops = _run.Ops;
        var stream = Random(ScalarType.Float32, 1, tokens, dim);
        var (x, y) = (Random(_options.Dtype, 1, tokens, dim), Random(_options.Dtype, 1, tokens, dim));
        var prompt = Random(_options.Dtype, 1, text, dim);
        var m = Random(ScalarType.Float32, 1, 6, dim).chunk(6, 1);
        using var square = Filled(new AutocastLinear(dim, dim, _options));
        using var widen = Filled(new AutocastLinear(dim, wide, _options));
        using var narrow = Filled(new AutocastLinear(wide, dim, _options));
        using var norm = new WanLayerNorm(dim, _config.Eps, _options);
        using var headNorm = Filled(new WanRmsNorm(dim, _config.Eps, _options));
        double element = _options.Dtype == ScalarType.Float32 ? 4 : 2, pixels = (double)tokens * dim;

        yield return Product("q, k, v, o", 4 * layers, 2.0 * tokens * dim * dim, () => square.forward(x));
        yield return Product("q, o of the cross-attention", 2 * layers, 2.0 * tokens * dim * dim, () => square.forward(x));
        yield return Product("k, v of the prompt", 2 * layers, 2.0 * text * dim * dim, () => square.forward(prompt));
        yield return Product("feed-forward in, GELU", layers, 2.0 * tokens * dim * wide, () => ops.LinearGelu(widen, x));
        var hidden = Random(_options.Dtype, 1, tokens, wide);
        yield return Product("feed-forward out", layers, 2.0 * tokens * dim * wide, () => narrow.forward(hidden));

        yield return Pass("norm, modulation", 1, (4 + element) * pixels, () => ops.Modulate(norm, stream, m[0], m[1]));
        yield return Pass("residual, next norm", 3 * layers - 1, (8 + 2 * element) * pixels,
            () => ops.AddGatedAndNormalize(stream, y, m[2], norm, m[3], m[4]).Normalized);
        yield return Pass("residual", 1, (8 + element) * pixels, () => ops.AddGated(stream, y, m[5]));
        yield return Pass("RMSNorm, RoPE of q and k", 2 * layers, 2 * element * pixels, () => ops.NormalizeHeads(headNorm, x, _config.NumHeads, _run.Rope));
        yield return Pass("RMSNorm of the cross-attention's q", layers, 2 * element * pixels, () => ops.NormalizeHeads(headNorm, x, _config.NumHeads, null));

        var (q, k) = (Heads(Random(_options.Dtype, 1, tokens, dim)), Heads(Random(_options.Dtype, 1, tokens, dim)));
        var v = Heads(x);
        var density = Density(q, k, v);
        var pairs = 4.0 * tokens * tokens * dim * density;
        var site = new AttentionSite(0, 0);
        yield return Product($"self-attention at density {density:0.000}", layers, pairs, () => _attention.Forward(q, k, v, _run.Layout, site));
        var (promptK, promptV) = (Heads(prompt), Heads(prompt));
        yield return Product("cross-attention", layers, 4.0 * tokens * text * dim, () => functional.scaled_dot_product_attention(q, promptK, promptV));
    }

    private double Density(Tensor q, Tensor k, Tensor v)
    {
        using var attention = AttentionFactory.Create(_expression, _options.Device, denseSteps: 0, observer: _meter);
        attention.Forward(q, k, v, _run.Layout, new AttentionSite(0, 0)).Dispose();
        return _meter.Mean!.Value;
    }

    private DitOperation Product(string name, int calls, double flops, Func<Tensor> work) =>
        new(name, calls, Time(work), flops / _flopsPerMs, "products");

    private DitOperation Pass(string name, int calls, double bytes, Func<Tensor> work) =>
        new(name, calls, Time(work), bytes / _bytesPerMs, "memory");

    // What the device does at best: a large square product, and a copy.
    private (double FlopsPerMs, double BytesPerMs) Rates()
    {
        using var scope = NewDisposeScope();
        var onCpu = _options.Device.type == TorchSharp.DeviceType.CPU;
        long side = onCpu ? 768 : 8192, count = onCpu ? 1 << 24 : 1 << 29;
        var (a, b) = (Random(_options.Dtype, side, side), Random(_options.Dtype, side, side));
        var flops = 2.0 * side * side * side / Time(() => a.matmul(b));
        var from = zeros(count, ScalarType.Float32, _options.Device);
        return (flops, 8.0 * count / Time(() => from.clone()));
    }

    private double Time(Func<Tensor> work) => DeviceTimer.Median(_options.Device, () =>
    {
        using var scope = NewDisposeScope();
        work();
    }, _repeats);

    private Tensor Random(ScalarType type, params long[] shape) => randn(shape, device: _options.Device).to_type(type);

    private Tensor Heads(Tensor x) => x.unflatten(2, [_config.NumHeads, -1]).transpose(1, 2);

    private static T Filled<T>(T module)
        where T : Module
    {
        foreach (var parameter in module.parameters())
        {
            parameter.normal_(0, 0.02);
        }

        return module;
    }
}
