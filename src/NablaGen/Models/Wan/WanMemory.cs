using NablaGen.Attention;
using NablaGen.Attention.Cuda;
using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Fused;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Dit.Ops;
using NablaGen.Models.Wan.Image;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using NablaGen.Tensors.Matrices;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan;

/// <summary>Bytes that Wan's models take, from shapes: the tensors that are alive at once at each stage's peak.</summary>
public static class WanMemory
{
    // What LowRankBranch has of one head at once: what it reads, turned and squared, and the sums.
    private const int LowRankTensors = 8;

    // Thread blocks that sum at once on the largest device of today.
    private const int LowRankChunks = 1024;

    /// <summary>Bytes of the weights by shapes alone: nothing is allocated.</summary>
    /// <param name="dit">The transformer.</param>
    /// <param name="text">The text encoder.</param>
    /// <param name="vae">The VAE.</param>
    /// <param name="dtype">The type of the large matrix products; what stays float32 is counted so.</param>
    /// <param name="vaeDtype">The VAE's type.</param>
    /// <param name="formats">The formats of the transformer's matrices; null for plain ones.</param>
    public static WeightSizes Sizes(DitConfig dit, TextEncoderConfig text, VaeConfig vae, ScalarType dtype, ScalarType vaeDtype, TransformerFormats? formats = null)
    {
        var options = new ModuleOptions(META, dtype);
        formats ??= TransformerFormats.Plain;
        using var oneLayer = new WanModel(dit with { NumLayers = 1 }, (formats with { HasPlainEnds = false }).Over(options));
        using var encoder = new T5Encoder(text, options);
        using var decoder = new WanVae(vae, options with { Dtype = vaeDtype });
        var parts = oneLayer.named_parameters().ToLookup(
            pair => pair.name.StartsWith(WanModel.LayerPrefix(0), StringComparison.Ordinal), pair => pair.parameter);
        var sizes = new WeightSizes(Bytes(encoder.parameters()), Bytes(parts[false]), Bytes(parts[true]), Bytes(decoder.parameters()));
        if (!formats.HasPlainEnds)
        {
            return sizes;
        }

        using var end = new WanLayer(dit, options);
        return sizes with { Transformer = sizes.Transformer + (EndedLayers.Ends * Bytes(end.parameters())), FixedLayers = EndedLayers.Ends };
    }

    /// <summary>What a pass through the transformer, and the solver around it, take beside the weights.</summary>
    /// <param name="dit">The transformer.</param>
    /// <param name="latents">The latents' shape. [C, T', h, w]</param>
    /// <param name="attention">What is kept.</param>
    /// <param name="device">Where.</param>
    /// <param name="dtype">The type of the large matrix products.</param>
    /// <param name="batch">Videos in one pass.</param>
    /// <param name="formats">The formats of matrices and attention; null for plain ones.</param>
    public static long TransformerWork(
        DitConfig dit, long[] latents, AttentionExpression attention, DeviceType device, ScalarType dtype, int batch = 1, TransformerFormats? formats = null)
    {
        formats ??= TransformerFormats.Plain;
        var tokens = dit.Traits.TokensOf(latents);
        long dim = dit.Dim, ffn = dit.FfnDim, size = dtype.ElementSize();
        long atToken;
        if (device == DeviceType.CUDA && CudaDitOps.Fit(dit, dtype))
        {
            // The float32 residual stream and, in the feed-forward layer, its input, output and inner layer (GELU in place), or, in the
            // attention, its input, Q, K, V and output.
            // With products in fp8 GELU reads its input in 16 bits and writes it anew; attention in eight bits keeps Q, K and V as its tiles.
            var plain = size * (3 * dim + ffn);
            var inFeedForward = formats.Matrices == MatrixFormats.Fp8 ? Math.Max(dim + (size + 1) * ffn, dim + ffn + size * dim) : plain;
            inFeedForward = formats.HasPlainEnds ? Math.Max(inFeedForward, plain) : inFeedForward;
            var inAttention = size * 6 * dim + (formats.EightBitAttention ? EightBitAttention.BytesAnElement * dim : 0);
            atToken = 4 * dim + Math.Max(inFeedForward, inAttention);
        }
        else
        {
            // libtorch's operations do not work in place: they need more of everything, and GELU's input beside its output.
            var inFeedForward = (24 + 4 * size) * dim + 2 * size * ffn;
            var inAttention = (36 + 6 * size) * dim + (size < 4 ? 16 * dim : 0);
            atToken = Math.Max(inFeedForward, inAttention);
        }

        // The low-rank branch by libtorch has a head's tensors, float32; its kernels have sums of a few thousand tokens each.
        var hasLowRankKernels = device == DeviceType.CUDA && CudaDitOps.Fit(dit, dtype) && dit.LowRank == LowRankPasses.Rank;
        atToken += dit.LowRank == 0 || hasLowRankKernels ? 0 : LowRankTensors * 4 * dit.HeadDim;

        // The tokens' angles and order; noise, latents and what the solver keeps of earlier steps.
        var once = tokens * (4 * dit.HeadDim + 16) + 10 * 4 * latents.Aggregate(1L, (product, side) => product * side);
        once += tokens * 4 * dit.LowRank + (hasLowRankKernels ? (LowRankChunks + batch * dit.NumHeads) * 4L * dit.LowRank * dit.HeadDim : 0);
        var blocks = dit.Traits.BlocksOf(latents);
        // Masks with their scores; dense attention has a plan of entries alone (4 bytes a key block and group of query blocks).
        var masks = !attention.IsDense ? 8 * dit.NumHeads * blocks * blocks
            : device == DeviceType.CUDA && tokens >= CudaDenseAttention.FewestTokens ? BlockAttention.PlanBytes(dit.NumHeads, blocks)
            : 0;
        // A pooled term for each query block: the map of its weights, means and terms, and each token's log-sum-exp.
        masks += attention.HasTail ? 4 * dit.NumHeads * (blocks * blocks + tokens) + 28 * blocks * dim : 0;
        // A matrix that stays as stored is expanded for its product.
        once += formats.Matrices == MatrixFormats.Stored ? size * dim * Math.Max(dim, ffn) : 0;
        return batch * (tokens * atToken + masks) + once;
    }

    /// <summary>The embedded prompt and pictures, and the cross-attention's keys and values of every layer.</summary>
    /// <param name="dit">The transformer.</param>
    /// <param name="dtype">The type of the large matrix products.</param>
    public static long PromptMemory(DitConfig dit, ScalarType dtype) =>
        (2L * dit.NumLayers + 1) * (dit.TextLen + dit.ImageTokens) * dit.Dim * dtype.ElementSize();

    /// <summary>What encoding the longest prompt takes beside the weights.</summary>
    /// <param name="text">The text encoder.</param>
    /// <param name="tokens">Tokens of the longest prompt.</param>
    /// <param name="dtype">The type of the large matrix products.</param>
    public static long TextEncoderWork(TextEncoderConfig text, long tokens, ScalarType dtype)
    {
        long size = dtype.ElementSize();
        return tokens * ((4 + 7 * size) * text.Dim + 3 * size * text.DimFfn) + text.NumHeads * tokens * tokens * (4 * size + 8);
    }

    /// <summary>What decoding takes beside the weights.</summary>
    /// <param name="vae">The VAE.</param>
    /// <param name="latents">The latents' shape. [C, T', h, w]</param>
    /// <param name="dtype">The VAE's type.</param>
    /// <param name="tiling">How decoding is divided.</param>
    /// <param name="framesApart">Whether its convolutions read each frame by itself.</param>
    public static long VaeWork(VaeConfig vae, long[] latents, ScalarType dtype, VaeTiling tiling, bool framesApart = false)
    {
        var (frames, height, width) = vae.Traits.VideoOf(latents);
        return VaeMemory.Work(vae, frames, height, width, dtype, tiling, framesApart);
    }

    /// <summary>What reading pictures takes: the image encoder first, then the VAE, each with its weights. The video that is encoded is not in it.</summary>
    /// <param name="image">The image encoder; null for none.</param>
    /// <param name="vae">The VAE.</param>
    /// <param name="latents">The latents' shape. [C, T', h, w]</param>
    /// <param name="frames">Frames that the VAE encodes: all of the video's where the model is told them beside the noise, or one.</param>
    /// <param name="dtype">The type of the large matrix products.</param>
    /// <param name="vaeDtype">The VAE's type.</param>
    /// <param name="tiling">How the VAE's encoding is divided.</param>
    /// <param name="framesApart">Whether the VAE's convolutions read each frame by itself.</param>
    public static long PictureWork(
        ImageEncoderConfig? image, VaeConfig vae, long[] latents, int frames, ScalarType dtype, ScalarType vaeDtype, VaeTiling tiling, bool framesApart = false)
    {
        var encoder = 0L;
        if (image is not null)
        {
            using var module = new ImageEncoder(image, new ModuleOptions(META, dtype));
            encoder = Bytes(module.parameters()) + 16L * image.Tokens * image.Dim * (image.MlpRatio + 4) + 8L * image.NumHeads * image.Tokens * image.Tokens;
        }

        var (_, height, width) = vae.Traits.VideoOf(latents);
        return Math.Max(encoder, VaeMemory.EstimateEncoding(vae, frames, height, width, vaeDtype, tiling, framesApart));
    }

    private static long Bytes(IEnumerable<Parameter> parameters) => parameters.Sum(parameter => parameter.NumberOfElements * parameter.element_size());
}
