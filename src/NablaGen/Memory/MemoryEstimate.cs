using NablaGen.Attention;
using NablaGen.Generation;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Dit.Ops;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Memory;

/// <summary>
/// What each stage takes, from shapes: the tensors that are alive at once at a stage's fullest moment. docs/memory.md compares it with
/// what was measured.
/// </summary>
public static class MemoryEstimate
{
    // What libtorch's allocator holds for each byte that is alive: pieces it cannot join, fewer where they can grow. Fitted, with Runtime,
    // to the peaks in docs/performance.md.
    private const double HeldByGrowing = 1.34, HeldByFixed = 1.85, HeldInVae = 1.6;

    /// <summary>The CUDA context and the libraries' workspaces.</summary>
    public const long CudaRuntime = 717L << 20;

    // The program itself, libtorch included.
    private const long CpuRuntime = 300L << 20;

    /// <summary>The needs of one video.</summary>
    /// <param name="request">The video.</param>
    /// <param name="sizes">The weights.</param>
    /// <param name="dit">The transformer.</param>
    /// <param name="text">The text encoder.</param>
    /// <param name="vae">The VAE.</param>
    /// <param name="device">Where it is made: on CUDA fused kernels take less than libtorch's operations.</param>
    /// <param name="dtype">The type of the large matrix products.</param>
    /// <param name="batch">2 where both guidance passes go through the transformer at once, else 1.</param>
    public static MemoryNeeds Of(
        GenerationRequest request, WeightSizes sizes, DitConfig dit, TextEncoderConfig text, VaeConfig vae, Device device, ScalarType dtype, int batch = 1)
    {
        var latent = request.LatentShape(vae);
        return Decoding(sizes, vae, latent, device) with
        {
            TextEncoderWeights = sizes.TextEncoder,
            TextEncoderWork = TextEncoderWork(text, dit.TextLen, dtype),
            DitWeights = sizes.Dit,
            LayerWeights = sizes.Block,
            Blocks = dit.NumLayers,
            DitWork = DitWork(dit, latent, request.Attention, device.type, dtype, batch),
        };
    }

    /// <summary>The needs of decoding alone.</summary>
    /// <param name="sizes">The weights.</param>
    /// <param name="vae">The VAE.</param>
    /// <param name="latent">[C, T', h, w]</param>
    /// <param name="device">Where.</param>
    public static MemoryNeeds Decoding(WeightSizes sizes, VaeConfig vae, long[] latent, Device device) => new()
    {
        Runtime = device.type == DeviceType.CUDA ? CudaRuntime : CpuRuntime,
        VaeWeights = sizes.Vae,
        Vae = VaeChoices(sizes, vae, latent, device),
    };

    /// <summary>The tokens of latents.</summary>
    /// <param name="dit">The transformer.</param>
    /// <param name="latent">[C, T', h, w]</param>
    public static long Tokens(DitConfig dit, long[] latent) =>
        latent[1] / dit.PatchSize.Time * (latent[2] / dit.PatchSize.Height) * (latent[3] / dit.PatchSize.Width);

    /// <summary>What a pass through the transformer, and the solver around it, take beside the weights.</summary>
    /// <param name="dit">The transformer.</param>
    /// <param name="latent">[C, T', h, w]</param>
    /// <param name="attention">What is kept.</param>
    /// <param name="device">Where.</param>
    /// <param name="dtype">The type of the large matrix products.</param>
    /// <param name="batch">Videos in one pass.</param>
    /// <param name="growing">Whether the CUDA allocator's pieces grow; by default what this process has.</param>
    public static long DitWork(
        DitConfig dit, long[] latent, AttentionExpression attention, DeviceType device, ScalarType dtype, int batch = 1, bool? growing = null)
    {
        var tokens = Tokens(dit, latent);
        long dim = dit.Dim, ffn = dit.FfnDim, size = dtype.ElementSize();
        long atToken;
        if (device == DeviceType.CUDA && CudaDitOps.Fit(dit, dtype))
        {
            // The float32 residual stream and, in the feed-forward layer, its input, output and inner layer (GELU in place), or, in the
            // attention, its input, Q, K, V and output.
            atToken = 4 * dim + size * Math.Max(3 * dim + ffn, 6 * dim);
        }
        else
        {
            // libtorch's operations leave their inputs alone: more of everything, and GELU's input beside its output.
            var inFeedForward = (24 + 4 * size) * dim + 2 * size * ffn;
            var inAttention = (36 + 6 * size) * dim + (size < 4 ? 16 * dim : 0);
            atToken = Math.Max(inFeedForward, inAttention);
        }

        // Angles and orders of the tokens; noise, latents and the solver's memory of earlier steps.
        var once = tokens * (4 * dit.HeadDim + 16) + 10 * 4 * latent.Aggregate(1L, (product, side) => product * side);
        var blocks = latent[1] / dit.PatchSize.Time * Tiles(latent[2] / dit.PatchSize.Height) * Tiles(latent[3] / dit.PatchSize.Width);
        var masks = attention.IsDense ? 0 : 8 * dit.NumHeads * blocks * blocks;
        var alive = batch * (tokens * atToken + masks) + once;
        return device == DeviceType.CUDA ? (long)(alive * (growing ?? CudaAllocator.SegmentsGrow ? HeldByGrowing : HeldByFixed)) : alive;
    }

    private static long Tiles(long side) => (side + BlockLayout.TileSide - 1) / BlockLayout.TileSide;

    private static long TextEncoderWork(TextEncoderConfig text, long tokens, ScalarType dtype)
    {
        long size = dtype.ElementSize();
        return tokens * ((4 + 7 * size) * text.Dim + 3 * size * text.DimFfn) + text.NumHeads * tokens * tokens * (4 * size + 8);
    }

    // From fast to small. The least tile still sees so much around it that smaller ones save little.
    private static IReadOnlyList<VaeChoice> VaeChoices(WeightSizes sizes, VaeConfig vae, long[] latent, Device device)
    {
        var (height, width) = ((int)latent[2] * vae.SpatialStride, (int)latent[3] * vae.SpatialStride);
        var frames = ((int)latent[1] - 1) * vae.TemporalStride + 1;
        VaeTiling[] tilings =
        [
            VideoDecoder.DefaultTiling(device),
            new(FramesAtOnce: 1),
            new((height + 1) / 2, (width + 1) / 2, 1),
            new(256, 256, 1),
            new(128, 128, 1),
        ];
        var held = device.type == DeviceType.CUDA ? HeldInVae : 1;
        return
        [
            .. tilings.Distinct().Select(tiling => new VaeChoice(tiling, (long)(held
                * (VaeMemory.Estimate(vae, frames, height, width, VideoDecoder.DefaultDtype(device), tiling) - sizes.Vae)))),
        ];
    }
}
