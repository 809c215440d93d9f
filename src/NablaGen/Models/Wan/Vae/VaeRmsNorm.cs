using NablaGen.Tensors;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Vae;

/// <summary>
/// RMSNorm over the channels of each pixel, in float32 for any type of input; its weights are always float32. Port of RMS_norm,
/// wan/modules/vae.py.
/// </summary>
public sealed class VaeRmsNorm : Module<Tensor, Tensor>
{
    // As functional.normalize has it.
    private const double Tiny = 1e-12;

    private readonly double _scale;
    private readonly bool _isDifferentiable;

    [ComponentName(Name = "gamma")]
    private readonly Parameter _gamma;

    /// <summary>A norm over <paramref name="dim"/> channels of frames [N, C, H, W] or videos [B, C, T, H, W].</summary>
    public VaeRmsNorm(long dim, bool frames, ModuleOptions options)
        : base(nameof(VaeRmsNorm))
    {
        _scale = Math.Sqrt(dim);
        _isDifferentiable = options.IsDifferentiable;
        _gamma = frames ? options.Float32.Parameter(dim, 1, 1) : options.Float32.Parameter(dim, 1, 1, 1);
        RegisterComponents();
    }

    /// <summary>Same shape and type in and out; channels are axis 1.</summary>
    public override Tensor forward(Tensor input) => Apply(input, silu: false);

    /// <summary>SiLU(norm(input)), rounded once. Same shape and type in and out; channels are axis 1.</summary>
    internal Tensor Activate(Tensor input) => Apply(input, silu: true);

    /// <summary>Writes SiLU(norm(input)) where it is wanted; not to be differentiated.</summary>
    /// <param name="input">[B, C, T, H, W]</param>
    /// <param name="output">The same shape and type, each video of the batch channels last.</param>
    internal void ActivateInto(Tensor input, Tensor output)
    {
        using var scope = NewDisposeScope();
        if (!NormSiluOp.Fits(input))
        {
            output.copy_(Plain(input, silu: true));
            return;
        }

        for (var i = 0L; i < input.shape[0]; i++)
        {
            NormSiluOp.Run(ChannelsLast.Pixels(input).select(0, i).contiguous(), ChannelsLast.Pixels(output).select(0, i), _gamma, silu: true);
        }
    }

    private Tensor Apply(Tensor input, bool silu)
    {
        using var scope = NewDisposeScope();
        if (_isDifferentiable || !NormSiluOp.Fits(input))
        {
            return Plain(input, silu).MoveToOuterDisposeScope();
        }

        var x = ChannelsLast.Pixels(input).contiguous();
        var y = empty_like(x);
        NormSiluOp.Run(x, y, _gamma, silu);
        return ChannelsLast.Shaped(y).MoveToOuterDisposeScope();
    }

    private Tensor Plain(Tensor input, bool silu)
    {
        using var scope = NewDisposeScope();
        if (_isDifferentiable && input.dtype != ScalarType.Float32)
        {
            // In training the speed of memory is the limit: everything is in 16 bits but the length.
            var length = linalg.vector_norm(input, 2, [1], keepdim: true).to_type(ScalarType.Float32);
            var narrow = input * length.AtLeast(Tiny).DividedInto(_scale).to_type(input.dtype) * _gamma.to_type(input.dtype);
            return (silu ? functional.silu(narrow) : narrow).MoveToOuterDisposeScope();
        }

        var y = functional.normalize(input.to_type(ScalarType.Float32), dim: 1).Times(_scale) * _gamma;
        return (silu ? functional.silu(y) : y).to_type(input.dtype).MoveToOuterDisposeScope();
    }
}
