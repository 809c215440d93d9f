using NablaGen.Tensors;
using NablaGen.Tensors.Layers;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Text;

/// <summary>Self-attention with a position bias and, as T5 has it, no 1/√D. Port of T5Attention, wan/modules/t5.py.</summary>
public sealed class T5Attention : Module<Tensor, Tensor, Tensor>
{
    private readonly int _heads;

    [ComponentName(Name = "q")]
    private readonly AutocastLinear _q;

    [ComponentName(Name = "k")]
    private readonly AutocastLinear _k;

    [ComponentName(Name = "v")]
    private readonly AutocastLinear _v;

    [ComponentName(Name = "o")]
    private readonly AutocastLinear _o;

    /// <summary>The layer of a configuration.</summary>
    public T5Attention(TextEncoderConfig config, ModuleOptions options)
        : base(nameof(T5Attention))
    {
        _heads = config.NumHeads;
        _q = new AutocastLinear(config.Dim, config.DimAttn, options, bias: false);
        _k = new AutocastLinear(config.Dim, config.DimAttn, options, bias: false);
        _v = new AutocastLinear(config.Dim, config.DimAttn, options, bias: false);
        _o = new AutocastLinear(config.DimAttn, config.Dim, options, bias: false);
        RegisterComponents();
    }

    /// <summary>x [B, L, C], bias [B or 1, H, L, L] with masked keys at the type's lowest value → [B, L, C].</summary>
    public override Tensor forward(Tensor x, Tensor bias)
    {
        using var scope = NewDisposeScope();
        var q = Heads(_q.forward(x));
        var k = Heads(_k.forward(x));
        var v = Heads(_v.forward(x));
        var scores = matmul(q, k.transpose(-2, -1)).Plus(bias);
        var y = matmul(functional.softmax(scores.to_type(ScalarType.Float32), -1).to_type(scores.dtype), v);
        return _o.forward(y.transpose(1, 2).flatten(2)).MoveToOuterDisposeScope();
    }

    // [B, L, C] → [B, H, L, D]
    private Tensor Heads(Tensor x) => x.unflatten(2, [_heads, -1]).transpose(1, 2);
}
