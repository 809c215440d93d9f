using NablaGen.Weights;

namespace NablaGen.Models.Wan.Image;

/// <summary>
/// The image encoder's tensors in a file: under the authors' names with <c>visual.</c> (<c>models_clip_*.pth</c>), the same without it, or
/// Hugging Face's (<c>clip_vision_h.safetensors</c>). What the encoder does not use is left out: the text tower, the last layer, the head.
/// </summary>
internal static class ImageEncoderKeys
{
    private const string Visual = "visual.";

    /// <summary>All of the visual tower's tensors under the encoder's own names.</summary>
    /// <param name="source">The file.</param>
    /// <param name="owns">Whether closing the view closes the file.</param>
    public static ITensorSource TowerOf(ITensorSource source, bool owns = false)
    {
        ITensorSource kept = owns ? source : SourceView.Under(source, "");
        var named = source.Entries.Keys.Any(key => key.StartsWith(ClipVisionSource.Prefix, StringComparison.Ordinal)) ? new ClipVisionSource(kept) : kept;
        return named.Entries.Keys.Any(key => key.StartsWith(Visual, StringComparison.Ordinal))
            ? SourceView.Renamed(named, key => key.StartsWith(Visual, StringComparison.Ordinal) ? key[Visual.Length..] : null)
            : named;
    }

    /// <summary>The tensors under the encoder's own names.</summary>
    /// <param name="source">The file, the result's own from now on.</param>
    /// <param name="config">The sizes.</param>
    /// <exception cref="NablaGenException">There are fewer layers, or none.</exception>
    public static ITensorSource Of(ITensorSource source, ImageEncoderConfig config)
    {
        var named = source.Entries.Keys.Any(key => key.StartsWith(ClipVisionSource.Prefix, StringComparison.Ordinal))
            ? new ClipVisionSource(source)
            : source;
        var isTower = named.Entries.Keys.Any(key => key.StartsWith(Visual, StringComparison.Ordinal));
        var last = $"transformer.{config.NumLayers - 1}.";
        if (!named.Entries.Keys.Any(key => key.StartsWith(isTower ? Visual + last : last, StringComparison.Ordinal)))
        {
            named.Dispose();
            throw new NablaGenException($"{source.Path}: expected an image encoder of {config.NumLayers} layers, found none or fewer.");
        }

        return SourceView.Renamed(named, key =>
        {
            if (isTower && !key.StartsWith(Visual, StringComparison.Ordinal))
            {
                return null;
            }

            var name = isTower ? key[Visual.Length..] : key;
            return name == "head" || name.StartsWith("post_norm.", StringComparison.Ordinal) || name.StartsWith(last, StringComparison.Ordinal) ? null : name;
        });
    }
}
