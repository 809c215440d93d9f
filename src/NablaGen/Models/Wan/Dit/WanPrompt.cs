using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Dit;

/// <summary>
/// What of the passes depends on the prompt alone: the embedded text and, once a layer has made them, its cross-attention's keys and values.
/// </summary>
/// <param name="text">The embedded text, taken out of its dispose scope. [B, TextLen, C]</param>
/// <param name="layers">Layers of the transformer.</param>
/// <param name="keep">Whether keys and values stay for the next step; else each pass makes them anew.</param>
public sealed class WanPrompt(Tensor text, int layers, bool keep) : IPreparedConditioning
{
    private readonly Tensor _text = text.DetachFromDisposeScope();
    private readonly (Tensor K, Tensor V)?[] _kept = new (Tensor, Tensor)?[layers];

    /// <summary>The embedded text. [B, TextLen, C]</summary>
    public Tensor Text => _text;

    /// <summary>A layer's keys and values.</summary>
    /// <param name="layer">The layer, from 0.</param>
    /// <param name="make">Makes them from the text.</param>
    /// <returns>[B, H, TextLen, D] each; not to be disposed of by the caller where they are kept, else part of its scope.</returns>
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
