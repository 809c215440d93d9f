using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Vae;

/// <summary>RMSNorm over the channels of each pixel. Port of RMS_norm, wan/modules/vae.py.</summary>
public sealed class VaeRmsNorm : Module<Tensor, Tensor>
{
    private readonly double _scale;

    [ComponentName(Name = "gamma")]
    private readonly Parameter _gamma;

    /// <summary>A norm over <paramref name="dim"/> channels of frames [N, C, H, W] or videos [B, C, T, H, W].</summary>
    public VaeRmsNorm(long dim, bool frames, ModuleOptions options)
        : base(nameof(VaeRmsNorm))
    {
        _scale = Math.Sqrt(dim);
        _gamma = frames ? options.Parameter(dim, 1, 1) : options.Parameter(dim, 1, 1, 1);
        RegisterComponents();
    }

    /// <summary>Same shape in and out; channels are axis 1.</summary>
    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        return (functional.normalize(input, dim: 1) * _scale * _gamma).MoveToOuterDisposeScope();
    }
}
