using NablaGen.Attention;
using NablaGen.Models.FewSteps;
using NablaGen.Models.Streaming;
using NablaGen.Tensors;
using NablaGen.Weights;
using NablaGen.Weights.Lora;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Models;

/// <summary>
/// A model on disk: a transformer, a text encoder, a VAE and a tokenizer. Only its configuration is read, not its weights. The caller
/// owns what it loads. Immutable, and safe to use from several threads.
/// </summary>
public abstract class VideoModel
{
    /// <summary>Where it was found: a folder or a file, as given.</summary>
    public abstract string Path { get; }

    /// <summary>The model's name.</summary>
    public abstract string Name { get; }

    /// <summary>The transformer's sizes.</summary>
    public abstract TransformerTraits Transformer { get; }

    /// <summary>The latents' relation to the video.</summary>
    public abstract LatentTraits Latents { get; }

    /// <summary>Which pictures it is told.</summary>
    public virtual PictureTraits Pictures => PictureTraits.None;

    /// <summary>What a generation uses where the user says nothing, as it was written: the request's fields read it.</summary>
    public abstract ModelDefaults Defaults { get; }

    /// <summary>How it is to be sampled, where it was made for few steps; its values are among <see cref="Defaults"/>. Null where it was not.</summary>
    public virtual FewStepRecipe? FewSteps => null;

    /// <summary>What it was trained for; null where that is not known.</summary>
    public virtual TrainedFor? TrainedFor => null;

    /// <summary>The colours of previews, fitted to a VAE that may not be the one in use; null where none are known.</summary>
    public virtual LatentColorMap? PreviewColors => null;

    /// <summary>Whether its weights were trained for sparse attention, so that no step needs to be dense.</summary>
    public virtual bool IsTrainedSparse => TrainedFor?.SafeThreshold is not null;

    /// <summary>Each of the models that are in memory one after another: its file, for messages, and how many numbers it has.</summary>
    public abstract IReadOnlyList<(string File, long Parameters)> Parts { get; }

    /// <summary>One line about it, as for <c>doctor</c>.</summary>
    public abstract string Summary { get; }

    /// <summary>Finds the pieces of a model and reads its configuration; no weights are opened.</summary>
    /// <param name="path">A folder in a layout that some family knows, or a transformer's file.</param>
    /// <param name="pieces">Files that take the place of the model's own; null for none.</param>
    /// <exception cref="NablaGenException">There is no model, pieces are missing, or the configuration is wrong.</exception>
    public static VideoModel Open(string path, ModelPieces? pieces = null) => ModelFamilies.Open(path, pieces);

    /// <summary>
    /// The model that makes a video with a picture, or without: this one, or the other one where its folder has a transformer for each. Of the other one
    /// only the configuration is read.
    /// </summary>
    /// <param name="hasPicture">Whether the video begins with a picture.</param>
    /// <exception cref="NablaGenException">The other transformer is incomplete, or its configuration is wrong.</exception>
    public virtual VideoModel For(bool hasPicture) => this;

    /// <summary>Which files were chosen that nobody named, each in a few words.</summary>
    public virtual IReadOnlyList<string> Choices => [];

    /// <summary>This model with LoRAs merged into its transformer as it is read; nothing is opened yet. <see cref="ComputeHash"/> stays the model's own.</summary>
    /// <param name="loras">The LoRAs; their changes add up.</param>
    /// <exception cref="NablaGenException">The model takes none.</exception>
    public virtual VideoModel WithLoras(IReadOnlyList<LoraChoice> loras) =>
        loras.Count == 0 ? this : throw new NablaGenException($"{Path}: LoRAs cannot be merged into this model");

    /// <summary>The formats in which the transformer is loaded and counted.</summary>
    public virtual TransformerFormats Formats => TransformerFormats.Plain;

    /// <summary>This model with its transformer in other formats; headers at most are opened.</summary>
    /// <param name="formats">The formats.</param>
    /// <exception cref="NablaGenException">The model has plain numbers alone.</exception>
    public virtual VideoModel WithFormats(TransformerFormats formats) =>
        formats == TransformerFormats.Plain ? this : throw new NablaGenException($"{Path}: this model has no fp8 products and no attention in eight bits");

    /// <summary>Checks every key and shape of LoRAs against the transformer's; no weights are read.</summary>
    /// <param name="loras">The LoRAs.</param>
    /// <returns>A line for each that has keys for parts that this model does not have.</returns>
    /// <exception cref="NablaGenException">One is missing or malformed, or is not for this model.</exception>
    public virtual IReadOnlyList<string> CheckLoras(IReadOnlyList<LoraChoice> loras)
    {
        using var source = WithLoras(loras).OpenTransformer();
        return source is LoraSource merged ? merged.Notes : [];
    }

    /// <summary>A short name for the weights, for a video's recipe: see <see cref="ModelHash"/>.</summary>
    /// <param name="cancellation">Stops the reading.</param>
    /// <exception cref="NablaGenException">A file can't be read.</exception>
    public abstract string ComputeHash(CancellationToken cancellation = default);

    /// <summary>Checks every key, shape and type of all weights from the files' headers; nothing is loaded.</summary>
    /// <exception cref="NablaGenException">A file is bad or is not of the configuration's model.</exception>
    public abstract void Check();

    /// <summary>The same for the VAE alone.</summary>
    /// <exception cref="NablaGenException">The file is bad or is not of the configuration's model.</exception>
    public abstract void CheckVae();

    /// <summary>A short name for the VAE's weights.</summary>
    /// <exception cref="NablaGenException">The file can't be read.</exception>
    public abstract string ComputeVaeHash();

    /// <summary>Bytes of the weights in memory, by shapes alone.</summary>
    /// <param name="dtype">The type of the large matrix products; what stays float32 is counted so.</param>
    /// <param name="vaeDtype">The VAE's type.</param>
    public abstract WeightSizes SizesIn(ScalarType dtype, ScalarType vaeDtype);

    /// <summary>Bytes of tensors that are alive at once in a pass through the transformer and the solver around it, beside the weights.</summary>
    /// <param name="latents">The latents' shape. [C, T', h, w]</param>
    /// <param name="attention">What is kept.</param>
    /// <param name="device">Where: on CUDA fused kernels take less than libtorch's operations.</param>
    /// <param name="dtype">The type of the large matrix products.</param>
    /// <param name="batch">Videos in one pass.</param>
    public abstract long TransformerWork(long[] latents, AttentionExpression attention, DeviceType device, ScalarType dtype, int batch = 1);

    /// <summary>Bytes of what the transformer can keep of one prompt from step to step, to the same bits as without.</summary>
    /// <param name="dtype">The type of the large matrix products.</param>
    public abstract long PromptMemory(ScalarType dtype);

    /// <summary>Bytes of what one of a step's two passes keeps for the other, to the same bits as without.</summary>
    /// <param name="latents">The latents' shape. [C, T', h, w]</param>
    /// <param name="dtype">The type of the large matrix products.</param>
    public long SharedMemory(long[] latents, ScalarType dtype) => Transformer.TokensOf(latents) * Transformer.Width * dtype.ElementSize();

    /// <summary>Bytes of tensors that are alive at once while the longest prompt is encoded, beside the weights.</summary>
    /// <param name="dtype">The type of the large matrix products.</param>
    public abstract long TextEncoderWork(ScalarType dtype);

    /// <summary>Bytes of tensors that are alive at once while latents are decoded, beside the weights.</summary>
    /// <param name="latents">The latents' shape. [C, T', h, w]</param>
    /// <param name="dtype">The VAE's type.</param>
    /// <param name="tiling">How decoding is divided.</param>
    /// <param name="framesApart">Whether our own convolution reads each frame by itself where it takes the channels: <see cref="CudaDevices.ConvolvesFramesApart"/>.</param>
    public abstract long VaeWork(long[] latents, ScalarType dtype, VaeTiling tiling, bool framesApart = false);

    /// <summary>Whether our own convolution takes the channels of the VAE's largest tensors, so that nothing of them is joined where <see cref="CudaDevices.ConvolvesFramesApart"/>.</summary>
    public virtual bool HasVaeOfOwnConvolutions => false;

    /// <summary>Reads the tokenizer.</summary>
    /// <exception cref="NablaGenException">Its file is bad.</exception>
    public abstract IPromptTokenizer LoadTokenizer();

    /// <summary>Reads the text encoder.</summary>
    /// <exception cref="NablaGenException">The file is bad or is not of the configuration's model.</exception>
    public abstract ITextEncoder LoadTextEncoder(ModuleOptions options);

    /// <summary>Reads the image encoder; null where the model has none.</summary>
    /// <param name="options">Where it is, and its type.</param>
    /// <exception cref="NablaGenException">The file is bad or is not of the configuration's model.</exception>
    public virtual IImageEncoder? LoadImageEncoder(ModuleOptions options) => null;

    /// <summary>What the transformer is told of a video's given frames beside the image encoder's tokens, by the parts' names.</summary>
    /// <param name="vae">The VAE.</param>
    /// <param name="first">The first frame, in the video's size, in [−1, 1], on any device; what is given back is on the VAE's. [1, 3, H, W]</param>
    /// <param name="last">The last frame; null where it is not given. [1, 3, H, W]</param>
    /// <param name="frames">Frames of the video.</param>
    /// <param name="tiling">How the VAE's encoding is divided; null for not at all.</param>
    /// <param name="cancellation">Stops the encoding.</param>
    /// <returns>The caller's.</returns>
    /// <exception cref="NotSupportedException">The model takes no pictures.</exception>
    public virtual (string Name, Tensor Part) EncodePictures(
        IVideoAutoencoder vae, Tensor first, Tensor? last, int frames, VaeTiling? tiling = null, CancellationToken cancellation = default) =>
        throw new NotSupportedException("the model takes no pictures");

    /// <summary>
    /// Bytes that reading pictures takes at most: the image encoder, then the VAE, each with its weights, and not the video that is encoded. 0 where the
    /// model takes none.
    /// </summary>
    /// <param name="latents">The latents' shape. [C, T', h, w]</param>
    /// <param name="dtype">The type of the large matrix products.</param>
    /// <param name="vaeDtype">The VAE's type.</param>
    /// <param name="tiling">How the VAE's encoding is divided.</param>
    /// <param name="framesApart">Whether our own convolution reads each frame by itself where it takes the channels: <see cref="CudaDevices.ConvolvesFramesApart"/>.</param>
    public virtual long PictureWork(long[] latents, ScalarType dtype, ScalarType vaeDtype, VaeTiling tiling, bool framesApart = false) => 0;

    /// <summary>Reads the transformer.</summary>
    /// <param name="options">Where it is, and its type.</param>
    /// <param name="placement">Which layers stay on the device; null for all.</param>
    /// <exception cref="NablaGenException">The file is bad or is not of the configuration's model.</exception>
    public abstract IVideoTransformer LoadTransformer(ModuleOptions options, LayerPlacement? placement = null);

    /// <summary>Reads the VAE.</summary>
    /// <param name="options">Where it is, and its type.</param>
    /// <exception cref="NablaGenException">The file is bad or is not of the configuration's model.</exception>
    public abstract IVideoAutoencoder LoadVae(ModuleOptions options);

    /// <summary>Opens the transformer's weights and verifies their headers.</summary>
    /// <exception cref="NablaGenException">They are incomplete or malformed.</exception>
    public abstract ITensorSource OpenTransformer();

    /// <summary>The key of a layer's projection of the self-attention's output, in <see cref="OpenTransformer"/>'s names. [C, C]</summary>
    /// <param name="layer">The layer, from 0.</param>
    public abstract string AttentionOutputKey(int layer);

    /// <summary>
    /// What a pass through the transformer consists of, for measurements: each operation is to be run before the next is asked for. Empty where
    /// a family does not tell.
    /// </summary>
    /// <param name="latents">The latents' shape. [C, T', h, w]</param>
    /// <param name="attention">The self-attention.</param>
    /// <param name="options">Where, and in which type.</param>
    public virtual IEnumerable<LayerOperation> Operations(long[] latents, AttentionExpression attention, ModuleOptions options) => [];

    /// <summary>The type of the VAE unless float32 is asked for: bfloat16 on CUDA, whose error docs/numerics.md states.</summary>
    public static ScalarType DefaultVaeDtype(Device device) => device.type == DeviceType.CUDA ? ScalarType.BFloat16 : ScalarType.Float32;
}

/// <summary>Bytes of a model's weights in memory.</summary>
/// <param name="TextEncoder">All of the text encoder.</param>
/// <param name="Transformer">The transformer outside its layers.</param>
/// <param name="Layer">One layer of the transformer.</param>
/// <param name="Vae">All of the VAE.</param>
public sealed record WeightSizes(long TextEncoder, long Transformer, long Layer, long Vae)
{
    /// <summary>One layer of the transformer where layers are streamed; 0 for the same.</summary>
    public long StreamedLayer { get; init; }

    /// <summary>Layers that always stay on the device: they are counted in <see cref="Transformer"/>.</summary>
    public int FixedLayers { get; init; }
}
