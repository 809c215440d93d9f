using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Vae;

/// <summary>
/// Frames → moments of the latents in two parts: the descending one looks at neighbours only and can be done tile by tile; the deep one, at the
/// latents' size, looks at whole frames (there is attention in it).
/// </summary>
internal interface IVaeEncoder
{
    /// <summary>The descending part, of a tile: [B, colours, 1 or 4, 8 rows, 8 columns] → [B, C, 1, rows, columns].</summary>
    /// <param name="frames">A chunk of frames, or the whole video where there is no cache.</param>
    /// <param name="cache">The tile's own; null where the input is the whole video.</param>
    /// <param name="framesAtOnce">How many frames are at full resolution at once.</param>
    Tensor Descend(Tensor frames, FeatureCache? cache, int framesAtOnce);

    /// <summary>The deep part, of a whole frame: [B, C, 1, h, w] → [B, 2 ZDim, 1, h, w].</summary>
    /// <param name="deep">The output of <see cref="Descend"/>.</param>
    /// <param name="cache">The whole frames' own; null where the input is the whole video.</param>
    Tensor Finish(Tensor deep, FeatureCache? cache);

    /// <summary>Both parts, of whole frames.</summary>
    Tensor forward(Tensor input, FeatureCache? cache);
}
