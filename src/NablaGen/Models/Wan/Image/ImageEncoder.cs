using NablaGen.Models.Wan.Dit;
using NablaGen.Tensors;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Image;

/// <summary>
/// CLIP's vision transformer up to its last layer but one: a picture → tokens. Port of VisionTransformer and CLIPModel.visual,
/// wan/modules/clip.py; the parameters' names are the checkpoint's own without <c>visual.</c>.
/// </summary>
/// <remarks>Not thread-safe: one call at a time, and no other thread may use its tensors meanwhile.</remarks>
public sealed class ImageEncoder : Module<Tensor, Tensor>, IImageEncoder
{
    // What CLIP's pictures were normalised with, by colour.
    private static readonly float[] Mean = [0.48145466f, 0.4578275f, 0.40821073f];
    private static readonly float[] Std = [0.26862954f, 0.26130258f, 0.27577711f];

    [ComponentName(Name = "patch_embedding")]
    private readonly ImagePatches _patches;

    [ComponentName(Name = "cls_embedding")]
    private readonly Parameter _class;

    [ComponentName(Name = "pos_embedding")]
    private readonly Parameter _positions;

    [ComponentName(Name = "pre_norm")]
    private readonly WanLayerNorm _preNorm;

    [ComponentName(Name = "transformer")]
    private readonly ModuleList<ImageBlock> _layers;

    /// <summary>An encoder with unread weights. It has no last layer, no norm after it and no head.</summary>
    public ImageEncoder(ImageEncoderConfig config, ModuleOptions options)
        : base(nameof(ImageEncoder))
    {
        Config = config;
        _patches = new ImagePatches(config, options);
        _class = options.Float32.Parameter(1, 1, config.Dim);
        _positions = options.Float32.Parameter(1, config.Tokens, config.Dim);
        _preNorm = new WanLayerNorm(config.Dim, config.Eps, options, affine: true);
        _layers = new ModuleList<ImageBlock>(Enumerable.Range(0, config.NumLayers - 1).Select(_ => new ImageBlock(config, options)).ToArray());
        RegisterComponents();
    }

    /// <summary>The sizes.</summary>
    public ImageEncoderConfig Config { get; }

    /// <summary>Normalised pictures of the encoder's size → tokens. [B, 3, ImageSize, ImageSize] → [B, Tokens, C], float32</summary>
    public override Tensor forward(Tensor pictures)
    {
        using var scope = NewDisposeScope();
        var patches = _patches.forward(pictures).to_type(ScalarType.Float32);
        var x = _preNorm.forward(cat([_class.expand(pictures.shape[0], -1, -1), patches], 1).Plus(_positions));
        foreach (var layer in _layers)
        {
            var before = x;
            x = layer.forward(before);
            before.Dispose();
        }

        return x.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public Tensor Encode(Tensor picture)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return forward(Preprocess(picture.to(_class.device))).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// A picture as the encoder takes it: stretched to its size (bicubic, without averaging, as the reference has it) and normalised by colour.
    /// [1, 3, H, W] in [−1, 1] → [1, 3, ImageSize, ImageSize]
    /// </summary>
    public Tensor Preprocess(Tensor picture)
    {
        using var scope = NewDisposeScope();
        var small = functional.interpolate(picture, size: [Config.ImageSize, Config.ImageSize], mode: InterpolationMode.Bicubic, align_corners: false);
        return ((small.Times(0.5).Plus(0.5) - Colours(Mean, picture.device)) / Colours(Std, picture.device)).MoveToOuterDisposeScope();
    }

    private static Tensor Colours(float[] values, Device device) => tensor(values, [1, 3, 1, 1]).to(device);

    /// <summary>A picture → its patches: a convolution without bias whose stride is its kernel.</summary>
    private sealed class ImagePatches : Module<Tensor, Tensor>
    {
        private readonly long[] _stride;

        [ComponentName(Name = "weight")]
        private readonly Parameter _weight;

        public ImagePatches(ImageEncoderConfig config, ModuleOptions options)
            : base(nameof(ImagePatches))
        {
            _stride = [config.PatchSize, config.PatchSize];
            _weight = options.Parameter(config.Dim, 3, config.PatchSize, config.PatchSize);
            RegisterComponents();
        }

        // [B, 3, H, W] → [B, L, C]
        public override Tensor forward(Tensor input)
        {
            using var scope = NewDisposeScope();
            return functional.conv2d(input.to_type(_weight.dtype), _weight, null, _stride).flatten(2).transpose(1, 2).MoveToOuterDisposeScope();
        }
    }
}
