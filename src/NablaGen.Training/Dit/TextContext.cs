using NablaGen.Models.Wan.Text;
using static TorchSharp.torch;

namespace NablaGen.Training.Dit;

/// <summary>What a transformer gets to see of captions.</summary>
internal static class TextContext
{
    /// <summary>Captions encoded, zeros in place of padding, as for one prompt that is cut at its length. [B, length, TextDim]</summary>
    /// <param name="encoder">The encoder.</param>
    /// <param name="ids">Token ids, padded. int64 [B, length]</param>
    /// <param name="mask">False at padding. [B, length]</param>
    public static Tensor Context(this T5Encoder encoder, Tensor ids, Tensor mask)
    {
        using var scope = NewDisposeScope();
        var encoded = encoder.forward(ids, mask);
        return (encoded * mask.unsqueeze(2).to_type(encoded.dtype)).MoveToOuterDisposeScope();
    }
}
