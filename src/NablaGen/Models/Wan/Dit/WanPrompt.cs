using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Dit;

/// <summary>
/// The part of the passes that depends on the prompt alone: the embedded text and, once a layer has computed them, its cross-attention's keys and values.
/// </summary>
/// <param name="text">The embedded text, taken out of its dispose scope. [B, TextLen, C]</param>
/// <param name="layers">Layers of the transformer.</param>
/// <param name="keep">Whether keys and values are kept for the next step; otherwise each pass computes them again.</param>
public sealed class WanPrompt(Tensor text, int layers, bool keep) : IPreparedConditioning
{
    private readonly Tensor _text = text.DetachFromDisposeScope();
    private readonly (Tensor K, Tensor V)?[] _kept = new (Tensor, Tensor)?[layers];

    /// <summary>The embedded text. [B, TextLen, C]</summary>
    public Tensor Text => _text;

    /// <summary>A layer's keys and values.</summary>
    /// <param name="layer">The layer, from 0.</param>
    /// <param name="make">Makes them from the text.</param>
    /// <returns>[B, H, TextLen, D] each; the caller must not dispose of them where they are kept; otherwise they belong to its scope.</returns>
    public (Tensor K, Tensor V) KeysAndValues(int layer, Func<Tensor, (Tensor K, Tensor V)> make)
    {
        if (_kept[layer] is { } known)
        {
            return known;
        }

        var (k, v) = make(_text);
        if (keep)
        {
            _kept[layer] = (k.DetachFromDisposeScope(), v.DetachFromDisposeScope());
        }

        return (k, v);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _text.Dispose();
        for (var layer = 0; layer < _kept.Length; layer++)
        {
            _kept[layer]?.K.Dispose();
            _kept[layer]?.V.Dispose();
            _kept[layer] = null;
        }
    }
}
