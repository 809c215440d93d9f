using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Tensors.Layers;

/// <summary>x · sigmoid(x).</summary>
public sealed class Silu() : Module<Tensor, Tensor>(nameof(Silu))
{
    /// <inheritdoc/>
    public override Tensor forward(Tensor input) => functional.silu(input);
}
