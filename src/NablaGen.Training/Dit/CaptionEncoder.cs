using NablaGen.Models.Wan.Text.Tokenizer;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Training.Dit;

/// <summary>Captions → token ids of one length, as a batch.</summary>
/// <param name="tokenizer">The tokenizer.</param>
/// <param name="length">Ids a caption, padding included.</param>
public sealed class CaptionEncoder(UmT5Tokenizer tokenizer, int length)
{
    /// <summary>Ids, padded. int64 [B, length]</summary>
    /// <param name="captions">The texts.</param>
    /// <param name="device">Where the ids are to be.</param>
    public Tensor Encode(IReadOnlyList<string> captions, Device device)
    {
        using var scope = NewDisposeScope();
        var ids = captions.SelectMany(caption => tokenizer.Tokenize(caption, length).Ids).Select(id => (long)id).ToArray();
        return tensor(ids, [captions.Count, length]).to(device).MoveToOuterDisposeScope();
    }

    /// <summary>True at a text's own ids, the end of sequence included; false at padding. [B, length]</summary>
    public Tensor Mask(Tensor ids) => ids.IsNotEqualTo(tokenizer.PadId);
}
