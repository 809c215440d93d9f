using static TorchSharp.torch;

namespace NablaGen.Models;

/// <summary>A text encoder with its weights.</summary>
public interface ITextEncoder : IDisposable
{
    /// <summary>Encodes a prompt's true tokens, the end of sequence included. [1, tokens, width]</summary>
    Tensor Encode(IReadOnlyList<int> ids);
}
