using NablaGen.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Dit;

/// <summary>Latents → tokens: a 3D convolution whose stride is its kernel (patch_embedding, wan/modules/model.py).</summary>
public sealed class PatchEmbedding : Module<Tensor, Tensor>
{
    private readonly long[] _stride;

    [ComponentName(Name = "weight")]
    private readonly Parameter _weight;

    [ComponentName(Name = "bias")]
    private readonly Parameter _bias;

    /// <summary>The embedding of a configuration.</summary>
    public PatchEmbedding(DitConfig config, ModuleOptions options)
        : base(nameof(PatchEmbedding))
    {
        var patch = config.PatchSize;
        _stride = [patch.Time, patch.Height, patch.Width];
        _weight = options.Parameter(config.Dim, config.InDim, patch.Time, patch.Height, patch.Width);
        _bias = options.Parameter(config.Dim);
        RegisterComponents();
    }

    /// <summary>[B, InDim, T', H', W'] → [B, L, C] in raster order.</summary>
    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        if (input.device_type == DeviceType.CPU)
        {
            // oneDNN's convolution reads memory that nobody wrote where channels are no multiple of 16, such as 36, and gives NaN now and then.
            var patches = input.to_type(_weight.dtype).unflatten(4, [-1, _stride[2]]).unflatten(3, [-1, _stride[1]]).unflatten(2, [-1, _stride[0]]);
            return functional.linear(patches.permute(0, 2, 4, 6, 1, 3, 5, 7).flatten(4).flatten(1, 3), _weight.flatten(1), _bias).MoveToOuterDisposeScope();
        }

        var grid = functional.conv3d(input.to_type(_weight.dtype), _weight, _bias, _stride);
        return grid.flatten(2).transpose(1, 2).MoveToOuterDisposeScope();
    }
}
