using static TorchSharp.torch;

namespace NablaGen.Denoising;

/// <summary>Computes every pass in full.</summary>
public sealed class NoStepCache : IStepCache
{
    /// <inheritdoc/>
    public Tensor Velocity(Tensor latents, TransformerPass pass) => pass.All();

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
