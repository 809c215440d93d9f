using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Vae;

/// <summary>Layers one after another; each one's input is freed as soon as it is read, because it may be a large part of the memory.</summary>
internal static class VaeLayers
{
    /// <summary>Sends a tensor through layers, and disposes of it.</summary>
    /// <param name="layers">The layers, in order.</param>
    /// <param name="x">What the first one reads. [B, C, T, H, W]</param>
    /// <param name="cache">The frames of the chunk before.</param>
    public static Tensor Through(IEnumerable<Module<Tensor, FeatureCache?, Tensor>> layers, Tensor x, FeatureCache? cache)
    {
        foreach (var layer in layers)
        {
            var before = x;
            x = layer.forward(before, cache);
            before.Dispose();
        }

        return x;
    }
}
