using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Dit;

/// <summary>
/// The part of the passes that depends on the conditioning alone: the embedded text and pictures and, once a layer has computed them, its
/// cross-attention's keys and values; and what goes in beside or in place of the noise.
/// </summary>
/// <param name="text">The embedded text, taken out of its dispose scope. [B, TextLen, C]</param>
/// <param name="layers">Layers of the transformer.</param>
/// <param name="keep">Whether keys and values are kept for the next step; otherwise each pass computes them again.</param>
public sealed class WanPrompt(Tensor text, int layers, bool keep) : IPreparedConditioning
{
    private readonly Tensor _text = text.DetachFromDisposeScope();
    private readonly Tensor? _image;
    private readonly (Tensor K, Tensor V, Tensor? Most)?[] _keptText = new (Tensor, Tensor, Tensor?)?[layers];
    private readonly (Tensor K, Tensor V, Tensor? Most)?[] _keptImage = new (Tensor, Tensor, Tensor?)?[layers];

    /// <summary>Whether there is memory for what is worth keeping.</summary>
    public bool IsKept => keep;

    /// <summary>The embedded text. [B, TextLen, C]</summary>
    public Tensor Text => _text;

    /// <summary>How many of its tokens may differ: those of the prompt and the first of its padding, which all the others equal.</summary>
    public long Tokens { get; init; } = text.shape[1];

    /// <summary>The embedded pictures, taken out of their dispose scope; null where there are none. [B, ImageTokens, C]</summary>
    public Tensor? Image { get => _image; init => _image = value?.DetachFromDisposeScope(); }

    /// <summary>Mask and latents of the pictures, to stand beside the noise; null where there are none. [B, GuideChannels, T', h, w]</summary>
    public Tensor? Guide { get; init; }

    /// <summary>Latents of the first frame, which stand in place of the noise's; null where it is generated too. [B, OutDim, 1, h, w]</summary>
    public Tensor? FirstFrame { get; init; }

    /// <summary>A layer's keys and values of the text, and what else is to be kept of them: <see cref="Ops.IDitOps.Largest"/> of the values, or null.</summary>
    /// <param name="layer">The layer, from 0.</param>
    /// <param name="make">Makes them from the text.</param>
    /// <returns>[B, H, TextLen, D] each; the caller must not dispose of them where they are kept; otherwise they belong to its scope.</returns>
    public (Tensor K, Tensor V, Tensor? Most) TextKeysAndValues(int layer, Func<Tensor, (Tensor K, Tensor V, Tensor? Most)> make) => Kept(_keptText, layer, _text, make);

    /// <summary>The same of the pictures. [B, H, ImageTokens, D] each</summary>
    /// <exception cref="InvalidOperationException">There are none.</exception>
    public (Tensor K, Tensor V, Tensor? Most) ImageKeysAndValues(int layer, Func<Tensor, (Tensor K, Tensor V, Tensor? Most)> make) =>
        Kept(_keptImage, layer, _image ?? throw new InvalidOperationException("the model attends to image tokens, and the conditioning has none"), make);

    /// <inheritdoc/>
    public void Dispose()
    {
        _text.Dispose();
        _image?.Dispose();
        Guide?.Dispose();
        FirstFrame?.Dispose();
        foreach (var kept in new[] { _keptText, _keptImage })
        {
            for (var layer = 0; layer < kept.Length; layer++)
            {
                kept[layer]?.K.Dispose();
                kept[layer]?.V.Dispose();
                kept[layer]?.Most?.Dispose();
                kept[layer] = null;
            }
        }
    }

    private (Tensor K, Tensor V, Tensor? Most) Kept((Tensor K, Tensor V, Tensor? Most)?[] all, int layer, Tensor from, Func<Tensor, (Tensor K, Tensor V, Tensor? Most)> make)
    {
        if (all[layer] is { } known)
        {
            return known;
        }

        var made = make(from);
        if (keep)
        {
            all[layer] = (made.K.DetachFromDisposeScope(), made.V.DetachFromDisposeScope(), made.Most?.DetachFromDisposeScope());
        }

        return made;
    }
}
