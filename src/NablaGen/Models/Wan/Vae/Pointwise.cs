using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Vae;

/// <summary>
/// Ways around oneDNN's kernels for numbers of channels that are no multiple of 16. On an AMD EPYC of 2026 with libtorch 2.10, two forms of these gave
/// values that were wrong by a tenth and more with AVX2 or AVX-512, and not with SSE4.1: convolutions of a single pixel, and those of inputs
/// whose channels are not last in memory. Wan's own VAEs have multiples of 16 but at their ends. Modules that can be differentiated keep to the
/// kernels that the trainers were tested with.
/// </summary>
internal static class Pointwise
{
    private const long Lanes = 16;

    /// <summary>Whether a convolution is one of a single pixel that is better a matrix product.</summary>
    /// <param name="x">Its input.</param>
    /// <param name="weight">Its weight. [outputs, inputs, H, W] or [outputs, inputs, T, H, W]</param>
    public static bool Fits(Tensor x, Tensor weight) => IsOdd(x, weight) && weight.shape[^1] == 1 && weight.shape[^2] == 1;

    /// <summary>The product. [N, inputs, H, W] → [N, outputs, H, W], by a weight [outputs, inputs, 1, 1] and a bias or none.</summary>
    public static Tensor Run(Tensor x, Tensor weight, Tensor? bias)
    {
        using var scope = NewDisposeScope();
        return ChannelsLast.Shaped(functional.linear(ChannelsLast.Pixels(x), weight.flatten(1), bias)).MoveToOuterDisposeScope();
    }

    /// <summary>A convolution's input with its channels last where that matters, else as it is. [N, inputs, H, W]</summary>
    public static Tensor Input(Tensor x, Tensor weight) => IsOdd(x, weight) ? ChannelsLast.Of(x) : x.alias();

    private static bool IsOdd(Tensor x, Tensor weight) =>
        x.device_type == DeviceType.CPU && (weight.shape[0] % Lanes != 0 || weight.shape[1] % Lanes != 0);
}
