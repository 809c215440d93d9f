using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Tensors.Layers;

/// <summary>GELU by its tanh approximation: the one that both Wan's transformer and umT5 use.</summary>
public sealed class Gelu() : Module<Tensor, Tensor>(nameof(Gelu))
{
    /// <inheritdoc/>
    public override Tensor forward(Tensor input) => functional.gelu(input, TorchSharp.Modules.GELU.Approximate.tanh);
}
