using NablaGen.Tensors;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Vae;

/// <summary>The last layers of encoder and decoder: norm, SiLU, convolution. The checkpoint's numbers; 1 (SiLU) has no weights.</summary>
internal sealed class VaeOutput : Module<Tensor, FeatureCache?, Tensor>
{
    [ComponentName(Name = "0")]
    private readonly VaeRmsNorm _norm;

    [ComponentName(Name = "2")]
    private readonly CausalConv3d _conv;

    public VaeOutput(long inputs, long outputs, ModuleOptions options)
        : base(nameof(VaeOutput))
    {
        _norm = new VaeRmsNorm(inputs, frames: false, options);
        _conv = new CausalConv3d(inputs, outputs, (3, 3, 3), options);
        RegisterComponents();
    }

    public override Tensor forward(Tensor input, FeatureCache? cache)
    {
        using var scope = NewDisposeScope();
        using var x = _conv.Prepare(input, _norm, cache);
        return _conv.Convolve(x).MoveToOuterDisposeScope();
    }
}
