using NablaGen.Cuda;
using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tensors;

/// <summary>TorchSharp's devices and types as NablaGen.Cuda names them.</summary>
internal static class CudaDevices
{
    /// <summary>Our handle of a CUDA device.</summary>
    /// <exception cref="NablaGenException">It cannot be opened.</exception>
    public static CudaDevice Open(Device device)
    {
        try
        {
            return CudaDevice.Open(Math.Max(device.index, 0));
        }
        catch (CudaException error)
        {
            throw new NablaGenException(error.Message, error);
        }
    }

    /// <summary>Whether the kernels compute in a type.</summary>
    public static bool IsSixteenBit(ScalarType type) => type is ScalarType.BFloat16 or ScalarType.Float16;

    /// <summary>Whether a device convolves frames of a type by our own kernel, which reads each frame by itself; where it takes the channels.</summary>
    public static bool ConvolvesFramesApart(Device device, ScalarType type) =>
        device.type == DeviceType.CUDA && IsSixteenBit(type) && TorchRuntime.HasCuda && Open(device).HasHopperKernels;

    /// <summary>The kernels' name of a 16-bit type.</summary>
    public static ElementType ElementType(ScalarType type) =>
        type == ScalarType.Float16 ? NablaGen.Cuda.Attention.ElementType.Float16 : NablaGen.Cuda.Attention.ElementType.BFloat16;

    /// <summary>A tensor [B, H, L, D] as the attention kernels can read it, converted if need be: 16-byte pieces of a row, none of it an expanded axis.</summary>
    public static Tensor Readable(Tensor x, ScalarType? type = null)
    {
        var converted = x.to_type(type ?? x.dtype);
        var fits = converted.stride(3) == 1 && Enumerable.Range(0, 3).All(axis => converted.stride(axis) is > 0 and var stride && stride % 8 == 0)
            && TensorMemory.Address(converted) % 16 == 0;
        return fits ? converted : converted.contiguous();
    }

    /// <summary>An attention's output [B, H, L, D], in memory [B, L, H, D], as the next linear layer reads it without a copy.</summary>
    public static Tensor EmptyLike(Tensor x) => empty([x.shape[0], x.shape[2], x.shape[1], x.shape[3]], x.dtype, x.device).transpose(1, 2);

    /// <summary>A tensor [B, H, L, D] of any strides whose last axis is contiguous, for the attention kernels.</summary>
    /// <exception cref="ArgumentException">It is not in 16 bits, is not on a CUDA device, or has gaps in its rows.</exception>
    public static AttentionTensor View(Tensor x) => View(x, new KernelAddress(x.device_type == DeviceType.CUDA ? x.device : new Device(DeviceType.CUDA, 0)));

    /// <summary>The same where the kernel's device is known.</summary>
    public static AttentionTensor View(Tensor x, KernelAddress at)
    {
        var address = at.OfStrided(x, IsSixteenBit(x.dtype) ? x.dtype : ScalarType.BFloat16, "an attention's tensor");
        return new AttentionTensor(
            address, ElementType(x.dtype), (int)x.shape[0], (int)x.shape[1], (int)x.shape[2], (int)x.shape[3], x.stride(0), x.stride(1), x.stride(2));
    }

    /// <summary>Sees that the attention kernels can count a video's blocks.</summary>
    /// <param name="blocks">Blocks of tokens.</param>
    /// <param name="tokens">Tokens.</param>
    /// <param name="rows">Batch times heads.</param>
    /// <exception cref="NablaGenException">They cannot.</exception>
    public static void RequireCountable(int blocks, long tokens, long rows)
    {
        if (blocks > BlockOffsets.MaxBlocks || tokens * rows > int.MaxValue)
        {
            throw new NablaGenException($"a video of {tokens} tokens is too large for the attention kernels: expected at most {BlockOffsets.MaxBlocks} blocks of up to 64 tokens, "
                + $"and {int.MaxValue} tokens in all of {rows} heads; use fewer --frames or a smaller --width and --height");
        }
    }
}
