using NablaGen.Tensors;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Dit;

/// <summary>Latents → tokens: a 3D convolution whose stride is its kernel (patch_embedding, wan/modules/model.py), as a product of each token's numbers.</summary>
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

    /// <summary>The numbers of each token, in raster order. [B, InDim, T', H', W'] → [B, L, InDim · patch]</summary>
    public Tensor Patches(Tensor input)
    {
        using var scope = NewDisposeScope();
        var patches = input.to_type(_weight.dtype).unflatten(4, [-1, _stride[2]]).unflatten(3, [-1, _stride[1]]).unflatten(2, [-1, _stride[0]]);
        return patches.permute(0, 2, 4, 6, 1, 3, 5, 7).flatten(4).flatten(1, 3).MoveToOuterDisposeScope();
    }

    /// <summary>[B, L, InDim · patch] → [B, L, C].</summary>
    /// <remarks>
    /// Not as a convolution: oneDNN's reads memory that nobody wrote where channels are no multiple of 16, such as 36, and gives NaN now and then, and
    /// cuDNN's adds the bias and turns the result in passes of their own.
    /// </remarks>
    public override Tensor forward(Tensor patches)
    {
        using var scope = NewDisposeScope();
        // As rows of one matrix, so that the product adds the bias.
        return functional.linear(patches.flatten(0, 1), _weight.flatten(1), _bias).unflatten(0, [patches.shape[0], -1]).MoveToOuterDisposeScope();
    }
}
