using NablaGen.Attention;
using NablaGen.Models;
using NablaGen.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Memory;

/// <summary>
/// How much memory each stage takes: the tensors that are alive at once, by the model, and what the device's allocator holds for them.
/// docs/memory.md compares it with measurements.
/// </summary>
public static class MemoryEstimate
{
    /// <summary>The CUDA context and the libraries' workspaces.</summary>
    public const long CudaRuntime = 717L << 20;

    // What libtorch's allocator holds for each live byte: it cannot join all its pieces, and loses less where segments grow. Fitted, together
    // with CudaRuntime, to the peaks in docs/performance.md.
    private const double HeldByGrowing = 1.34, HeldByFixed = 1.85, HeldInVaeJoined = 1.6, HeldInVaeApart = 1.05;

    // What the libraries take for the VAE's few convolutions that are not our own.
    private const long VaeWorkspace = 96L << 20;

    // The program itself, libtorch included.
    private const long CpuRuntime = 300L << 20;

    /// <summary>The needs of one video.</summary>
    /// <param name="model">The model.</param>
    /// <param name="sizes">Its weights.</param>
    /// <param name="video">The video.</param>
    /// <param name="device">Where it is made.</param>
    /// <param name="dtype">The type of the large matrix products.</param>
    public static MemoryNeeds Of(VideoModel model, WeightSizes sizes, VideoWorkload video, Device device, ScalarType dtype) =>
        Decoding(model, sizes, video.Latents, device) with
        {
            TextEncoderWeights = sizes.TextEncoder,
            TextEncoderWork = model.TextEncoderWork(dtype),
            Pictures = video.HasPictures ? PictureChoices(model, video.Latents, device, dtype) : [],
            DitWeights = sizes.Transformer,
            LayerWeights = sizes.Layer,
            StreamedLayerWeights = sizes.StreamedLayer > 0 ? sizes.StreamedLayer : sizes.Layer,
            Layers = model.Transformer.Layers - sizes.FixedLayers,
            FixedLayers = sizes.FixedLayers,
            Experts = model.Transformer.Boundary is null ? 1 : 2,
            DitWork = Held(model.TransformerWork(video.Latents, video.Attention, device.type, dtype, video.Batch), device.type),
            PromptMemory = video.Prompts * model.PromptMemory(dtype)
                + (video.Prompts > video.Batch ? Held(video.Batch * model.SharedMemory(video.Latents, dtype), device.type) : 0),
        };

    /// <summary>The needs of decoding alone.</summary>
    /// <param name="model">The model.</param>
    /// <param name="sizes">Its weights.</param>
    /// <param name="latents">The latents' shape. [C, T', h, w]</param>
    /// <param name="device">Where.</param>
    public static MemoryNeeds Decoding(VideoModel model, WeightSizes sizes, long[] latents, Device device) => new()
    {
        Runtime = device.type == DeviceType.CUDA ? CudaRuntime : CpuRuntime,
        VaeWeights = sizes.Vae,
        Vae = VaeChoices(model, latents, device),
    };

    /// <summary>What the device holds for tensors of the transformer that are alive at once.</summary>
    /// <param name="alive">Their bytes.</param>
    /// <param name="device">Where.</param>
    /// <param name="growing">Whether the CUDA allocator's pieces grow; by default what this process has.</param>
    public static long Held(long alive, DeviceType device, bool? growing = null) =>
        device == DeviceType.CUDA ? (long)(alive * (growing ?? CudaAllocator.SegmentsGrow ? HeldByGrowing : HeldByFixed)) : alive;

    /// <summary>What a CUDA device holds for the VAE's tensors that are alive at once.</summary>
    /// <param name="alive">Their bytes.</param>
    /// <param name="apart">Whether the largest are by themselves: then what is kept from frame to frame is one piece of memory, beside which little is lost.</param>
    internal static long HeldInVae(long alive, bool apart) => apart ? (long)(HeldInVaeApart * alive) + VaeWorkspace : (long)(HeldInVaeJoined * alive);

    // From fast to small. The margin around the smallest tile is so large that smaller tiles save little.
    private static IEnumerable<VaeTiling> Tilings(VaeTiling fastest, int height, int width) => new[]
    {
        fastest,
        new VaeTiling(FramesAtOnce: 1),
        new VaeTiling((height + 1) / 2, (width + 1) / 2, 1),
        new VaeTiling(256, 256, 1),
        new VaeTiling(128, 128, 1),
    }.Distinct();

    // The video to encode waits in the host's memory.
    private static IReadOnlyList<VaeChoice> PictureChoices(VideoModel model, long[] latents, Device device, ScalarType dtype)
    {
        var (frames, height, width) = model.Latents.VideoOf(latents);
        var video = 3L * sizeof(float) * height * width * (model.Transformer.GuideChannels > 0 ? frames : 1);
        var vaeDtype = VideoModel.DefaultVaeDtype(device);
        var apart = CudaDevices.ConvolvesFramesApart(device, vaeDtype);
        return [.. Tilings(VaeTiling.DefaultOn(device), height, width).Select(tiling =>
            model.PictureWork(latents, dtype, vaeDtype, tiling, apart) is var work && device.type == DeviceType.CUDA
                ? new VaeChoice(tiling, HeldInVae(work, apart && model.HasVaeOfOwnConvolutions), video)
                : new VaeChoice(tiling, work + video))];
    }

    private static IReadOnlyList<VaeChoice> VaeChoices(VideoModel model, long[] latents, Device device)
    {
        var (frames, height, width) = model.Latents.VideoOf(latents);
        var dtype = VideoModel.DefaultVaeDtype(device);
        var apart = CudaDevices.ConvolvesFramesApart(device, dtype);
        return [.. Tilings(VaeTiling.DefaultOn(device), height, width).Select(Choice)];

        // Tiles are decoded one after another, each to the video's end: all frames are gathered in the host's memory.
        VaeChoice Choice(VaeTiling tiling)
        {
            var isWhole = (tiling.Height == 0 || tiling.Height >= height) && (tiling.Width == 0 || tiling.Width >= width);
            var gathered = isWhole ? 0 : 3L * frames * height * width * dtype.ElementSize();
            var work = model.VaeWork(latents, dtype, tiling, apart);
            return device.type == DeviceType.CUDA ? new VaeChoice(tiling, HeldInVae(work, apart && model.HasVaeOfOwnConvolutions), gathered) : new VaeChoice(tiling, work + gathered);
        }
    }
}

/// <summary>The properties of a video that determine its memory.</summary>
/// <param name="Latents">The latents' shape. [C, T', h, w]</param>
/// <param name="Attention">The self-attention.</param>
/// <param name="Prompts">Prompts that the transformer is told: two with guidance.</param>
/// <param name="Batch">Videos in a pass: two where both guidance passes go through the transformer at once.</param>
/// <param name="HasPictures">Whether it begins with a picture.</param>
public sealed record VideoWorkload(long[] Latents, AttentionExpression Attention, int Prompts = 1, int Batch = 1, bool HasPictures = false);
