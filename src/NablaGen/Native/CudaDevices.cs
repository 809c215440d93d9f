using NablaGen.Cuda;
using static TorchSharp.torch;

namespace NablaGen.Native;

/// <summary>TorchSharp's devices and types as our CUDA floor knows them.</summary>
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

    /// <summary>The kernels' name of a 16-bit type.</summary>
    public static ElementType ElementType(ScalarType type) =>
        type == ScalarType.Float16 ? NablaGen.Cuda.ElementType.Float16 : NablaGen.Cuda.ElementType.BFloat16;

    /// <summary>A tensor [B, H, L, D] of any strides whose last axis is contiguous, for the attention kernels.</summary>
    public static AttentionTensor View(Tensor x) => new(
        TensorMemory.Address(x), ElementType(x.dtype), (int)x.shape[0], (int)x.shape[1], (int)x.shape[2], (int)x.shape[3],
        x.stride(0), x.stride(1), x.stride(2));
}
