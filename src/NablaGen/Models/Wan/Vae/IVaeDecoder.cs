using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Vae;

/// <summary>
/// Latents → frames in two parts: the deep one, at the latents' size, looks at whole frames (there is attention in it); the rising one looks at
/// neighbours only and can be done tile by tile.
/// </summary>
internal interface IVaeDecoder
{
    /// <summary>The deep part, of a whole frame: [B, ZDim, 1, h, w] → [B, C, 1, h, w].</summary>
    Tensor Deepen(Tensor input, FeatureCache? cache);

    /// <summary>The rising part, of a tile: [B, C, 1, h, w], the whole frame, → [B, colours, 1 or 4, 8 rows, 8 columns].</summary>
    /// <param name="deep">The output of <see cref="Deepen"/>.</param>
    /// <param name="cache">The tile's own.</param>
    /// <param name="tile">The tile.</param>
    /// <param name="framesAtOnce">How many frames are at full resolution at once.</param>
    Tensor Rise(Tensor deep, FeatureCache? cache, VaeTile tile, int framesAtOnce);

    /// <summary>Both parts, of whole frames.</summary>
    Tensor forward(Tensor input, FeatureCache? cache);
}
