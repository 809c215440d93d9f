using NablaGen.Cuda.Attention;
using NablaGen.Models;
using NablaGen.Tensors;
using NablaGen.Tensors.Matrices;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Generation;

/// <summary>What the names of <c>--precision</c> and <c>--attention-precision</c> mean for a model on this machine.</summary>
public static class PrecisionChoice
{
    /// <summary>The program's own choice: today 16 bits for both.</summary>
    public const string Auto = "auto";

    /// <summary>In the type of <c>--dtype</c>.</summary>
    public const string Sixteen = "bf16";

    /// <summary>Products in fp8 (E4M3) with a scale a row.</summary>
    public const string Fp8 = "fp8";

    /// <summary>The same but for the first and the last layer, whose products are in the type of <c>--dtype</c>.</summary>
    public const string Fp8Inner = "fp8-inner";

    /// <summary>Attention in int8 and fp8.</summary>
    public const string Eight = "eight";

    /// <summary>Weights in the type of <c>--dtype</c>, whatever the file has.</summary>
    public const string Expanded = "expanded";

    /// <summary>Weights as the file has them, where that is fp8 or GGUF's blocks.</summary>
    public const string Resident = "resident";

    /// <summary>The names that <c>--weights</c> takes.</summary>
    public static IReadOnlyList<string> OfWeights { get; } = [Expanded, Resident];

    /// <summary>The names that <c>--precision</c> takes.</summary>
    public static IReadOnlyList<string> OfProducts { get; } = [Auto, Sixteen, Fp8, Fp8Inner];

    /// <summary>The names that <c>--attention-precision</c> takes.</summary>
    public static IReadOnlyList<string> OfAttention { get; } = [Auto, Sixteen, Eight];

    /// <summary>What a name of <c>--weights</c> means.</summary>
    /// <exception cref="InvalidRequestException">It is not known.</exception>
    public static bool IsResident(string weights)
    {
        Require("--weights", weights, OfWeights);
        return weights == Resident;
    }

    /// <summary>The formats of a transformer. What a GPU does not have is done in 16 bits, and a note says so.</summary>
    /// <param name="products">Of the products with its layers' matrices.</param>
    /// <param name="attention">Of its self-attention.</param>
    /// <param name="transformer">Its sizes.</param>
    /// <param name="device">Where it runs.</param>
    /// <param name="dtype">The type of its products in 16 or 32 bits.</param>
    /// <param name="isResident">Whether its weights stay as the file has them.</param>
    /// <exception cref="InvalidRequestException">A name is not known, or has no effect on such a device or beside such a type.</exception>
    public static TransformerFormats Resolve(string products, string attention, TransformerTraits transformer, Device device, ScalarType dtype, bool isResident = false)
    {
        Require("--precision", products, OfProducts);
        Require("--attention-precision", attention, OfAttention);
        var notes = new List<string>();
        if (products == Fp8Inner && transformer.Layers <= 2)
        {
            throw new InvalidRequestException($"--precision {Fp8Inner} has no effect on a transformer of {transformer.Layers} {(transformer.Layers == 1 ? "layer" : "layers")}, which has none between the first and the last: use {Fp8}");
        }

        var isFp8 = products is Fp8 or Fp8Inner && Allows($"--precision {products}", device, dtype) && !Lacks(notes, $"--precision {products}", Fp8Kernels.WhyNot(device));
        var isEight = attention == Eight && Allows($"--attention-precision {Eight}", device, dtype)
            && !Lacks(notes, $"--attention-precision {Eight}", WhyNoAttention(transformer, device));
        var isStored = isResident && Allows($"--weights {Resident}", device, dtype);
        if (isStored && products is (Fp8 or Fp8Inner))
        {
            throw new InvalidRequestException($"--weights {Resident} has no effect with --precision {products}, whose weights are in fp8 whatever the file has: give one of them");
        }

        return TransformerFormats.Plain with
        {
            Matrices = isFp8 ? MatrixFormats.Fp8 : isStored ? MatrixFormats.Stored : MatrixFormats.Dense,
            HasPlainEnds = isFp8 && products == Fp8Inner,
            EightBitAttention = isEight,
            Notes = notes,
        };
    }

    /// <summary>The name of the products' format in a recipe; null where they are in the type of <c>--dtype</c>.</summary>
    internal static string? Name(TransformerFormats? formats) => formats?.Matrices != MatrixFormats.Fp8 ? null : formats.HasPlainEnds ? Fp8Inner : Fp8;

    /// <summary>What a message says after the type: ", fp8 products"; empty where all is in that type.</summary>
    internal static string Said(TransformerFormats formats) =>
        (formats.Matrices == MatrixFormats.Fp8 ? " with products in fp8" : "") + (formats.EightBitAttention ? " with attention in eight bits" : "");

    /// <summary>What to try where the numbers went wrong.</summary>
    internal static string Instead(TransformerFormats formats, ScalarType dtype) => formats.Matrices == MatrixFormats.Fp8 ? $"--precision {Sixteen}"
        : formats.EightBitAttention ? $"--attention-precision {Sixteen}"
        : dtype == ScalarType.Float32 ? "a lower --guidance or more --steps" : "--dtype float32";

    private static void Require(string option, string name, IReadOnlyList<string> names)
    {
        if (!names.Contains(name))
        {
            throw new InvalidRequestException($"{option} '{name}' is not known: use {string.Join(", ", names.SkipLast(1))} or {names[^1]}");
        }
    }

    private static bool Allows(string option, Device device, ScalarType dtype) => device.type != DeviceType.CUDA
        ? throw new InvalidRequestException($"{option} needs an NVIDIA GPU, and this runs on the {device.type.ToString().ToUpperInvariant()}: leave it out")
        : dtype != ScalarType.BFloat16
            ? throw new InvalidRequestException($"{option} goes with --dtype bfloat16, found {dtype.ToString().ToLowerInvariant()}: give one of them")
            : true;

    private static bool Lacks(List<string> notes, string option, string? reason)
    {
        if (reason is not null)
        {
            notes.Add($"{option} is done in bfloat16: {reason}");
        }

        return reason is not null;
    }

    private static string? WhyNoAttention(TransformerTraits transformer, Device device) => transformer.HeadDim != EightBitAttention.HeadSize
        ? $"it has kernels for heads of {EightBitAttention.HeadSize} channels, and this model's have {transformer.HeadDim}"
        : EightBitAttention.WhyNot(CudaDevices.Open(device)) is { } reason ? $"it {reason}" : null;
}
