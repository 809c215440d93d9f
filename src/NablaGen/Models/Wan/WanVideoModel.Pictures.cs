using NablaGen.Models.Wan.Image;
using NablaGen.Models.Wan.Layouts;
using NablaGen.Tensors;
using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan;

/// <content>What a model is told of pictures.</content>
public sealed partial class WanVideoModel
{
    /// <summary>The image encoder's sizes; without a use where the layers attend to no pictures.</summary>
    public ImageEncoderConfig ImageEncoderConfig { get; }

    /// <inheritdoc/>
    public override PictureTraits Pictures => DitConfig.ModelType switch
    {
        "i2v" or "flf2v" => new PictureTraits(
            TakesFirst: true, NeedsFirst: true, NeedsLast: DitConfig.ModelType == "flf2v", VaeConfig.SpatialStride * DitConfig.PatchSize.Width, CutsExactly: false),
        "ti2v" => new PictureTraits(
            TakesFirst: true, NeedsFirst: false, NeedsLast: false, VaeConfig.SpatialStride * DitConfig.PatchSize.Width, CutsExactly: true),
        _ => PictureTraits.None,
    };

    /// <inheritdoc/>
    public override long PictureWork(long[] latents, ScalarType dtype, ScalarType vaeDtype) => !Pictures.TakesFirst ? 0 : WanMemory.PictureWork(
        DitConfig.ImageDim > 0 ? ImageEncoderConfig : null, VaeConfig, latents, DitConfig.GuideChannels > 0 ? VaeConfig.Traits.VideoOf(latents).Frames : 1, dtype, vaeDtype);

    /// <inheritdoc/>
    public override IImageEncoder? LoadImageEncoder(ModuleOptions options)
    {
        if (OpenImageEncoder() is not { } source)
        {
            return null;
        }

        using (source)
        {
            return Load(source, new ImageEncoder(ImageEncoderConfig, options));
        }
    }

    /// <inheritdoc/>
    public override (string Name, Tensor Part) EncodePictures(IVideoAutoencoder vae, Tensor first, Tensor? last, int frames)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return !Pictures.TakesFirst ? base.EncodePictures(vae, first, last, frames)
            : DitConfig.GuideChannels > 0 ? (Conditioning.Guide, WanGuide.Of(vae, first, last, frames, VaeConfig.Traits).MoveToOuterDisposeScope())
            : (Conditioning.FirstFrame, vae.Encode(first.unsqueeze(2)).MoveToOuterDisposeScope());
    }

    /// <summary>Opens all of the image encoder's file that is of its tower, under the authors' names; only where the layers attend to pictures.</summary>
    internal ITensorSource OpenImageTower() => ImageEncoderKeys.TowerOf(_files.ImageEncoder!.Open(), owns: true);

    // The image encoder's weights under its own names; null where the layers attend to no pictures.
    private ITensorSource? OpenImageEncoder() => DitConfig.ImageDim > 0 ? ImageEncoderKeys.Of(_files.ImageEncoder!.Open(), ImageEncoderConfig) : null;

    private void CheckImageEncoder(string others)
    {
        if (_files.ImageEncoder is null)
        {
            throw new NablaGenException($"{Path}: the model folder is incomplete: it lacks the image encoder (expected {OfficialLayout.ImageEncoderFile}, "
                + "the same as .pth, or clip_vision_h.safetensors): name one with --image-encoder.");
        }

        var pictures = DitConfig.HasImagePositions ? 2 : 1;
        if (DitConfig.ImageDim != ImageEncoderConfig.Dim || DitConfig.ImageTokens != pictures * ImageEncoderConfig.Tokens)
        {
            throw new NablaGenException($"{DitPath}: expected {pictures * ImageEncoderConfig.Tokens} image tokens of width {ImageEncoderConfig.Dim}, as the image encoder "
                + $"in {others} gives them, found {DitConfig.ImageTokens} of width {DitConfig.ImageDim}.");
        }
    }
}
