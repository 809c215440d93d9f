using NablaGen.Models.Wan.Image;
using NablaGen.Models.Wan.Layouts;
using NablaGen.Tensors;
using NablaGen.Weights;
using static TorchSharp.torch;
using IOPath = System.IO.Path;

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
    public override VideoModel For(bool hasPicture) => hasPicture ? _pictures?.Value ?? this : _text ?? this;

    // The second transformer, with a nablagen.json of its own or that of the whole model.
    private WanVideoModel OpenPictures(string own)
    {
        var second = IOPath.Combine(_files.PictureFolder!, NablaGenJson.FileName);
        var (path, json) = File.Exists(second) ? (second, NablaGenJson.Open(second)) : (own, _json);
        var model = new WanVideoModel(Path, OfficialLayout.WithPictureTransformer(_files), path, json, this);
        return model.Pictures.TakesFirst ? model : throw new NablaGenException(
            $"{model.ConfigPath}: \"model_type\": expected a model that is told a picture, such as \"i2v\", found \"{model.DitConfig.ModelType}\".");
    }

    /// <inheritdoc/>
    public override long PictureWork(long[] latents, ScalarType dtype, ScalarType vaeDtype, VaeTiling tiling, bool framesApart = false) => !Pictures.TakesFirst ? 0 : WanMemory.PictureWork(
        DitConfig.ImageDim > 0 ? ImageEncoderConfig : null, VaeConfig, latents, DitConfig.GuideChannels > 0 ? VaeConfig.Traits.VideoOf(latents).Frames : 1, dtype, vaeDtype, tiling,
        framesApart);

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
    public override (string Name, Tensor Part) EncodePictures(
        IVideoAutoencoder vae, Tensor first, Tensor? last, int frames, VaeTiling? tiling = null, CancellationToken cancellation = default)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return !Pictures.TakesFirst ? base.EncodePictures(vae, first, last, frames, tiling, cancellation)
            : DitConfig.GuideChannels > 0 ? (Conditioning.Guide, WanGuide.Of(vae, first, last, frames, VaeConfig.Traits, tiling, cancellation).MoveToOuterDisposeScope())
            : (Conditioning.FirstFrame, vae.Encode(first.unsqueeze(2), tiling, cancellation).MoveToOuterDisposeScope());
    }

    /// <summary>Opens all of the image encoder's file that is of its tower, under the authors' names; only where the layers attend to pictures.</summary>
    internal ITensorSource OpenImageTower() => ImageEncoderKeys.TowerOf(_files.ImageEncoder!.Open(), owns: true);

    // The image encoder's weights under its own names; null where the layers attend to no pictures.
    private ITensorSource? OpenImageEncoder() => DitConfig.ImageDim == 0 ? null
        : _isOnDisk ? ImageEncoderKeys.Of(_files.ImageEncoder!.Open(), ImageEncoderConfig) : _files.ImageEncoder!.Open();

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
