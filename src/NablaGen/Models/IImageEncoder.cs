using static TorchSharp.torch;

namespace NablaGen.Models;

/// <summary>An image encoder with its weights: a picture → the tokens that a transformer's layers attend to.</summary>
public interface IImageEncoder : IDisposable
{
    /// <summary>A picture's tokens.</summary>
    /// <param name="picture">A picture of any size, in [−1, 1]. [1, 3, H, W]</param>
    /// <returns>float32. [1, tokens, width]</returns>
    Tensor Encode(Tensor picture);
}
