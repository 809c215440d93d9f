using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Fused;
using NablaGen.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Vae;

/// <summary>RMSNorm and SiLU as one op: our kernel on CUDA, vectorised C# on the CPU. libtorch needs seven operations.</summary>
internal static class NormSiluOp
{
    /// <summary>Whether there is such an op for a tensor of this type, device and number of channels (axis 1).</summary>
    public static bool Fits(Tensor x) => x.device_type switch
    {
        DeviceType.CUDA => x.shape[1] % 8 == 0 && x.shape[1] <= RmsNormSilu.MostColumns
            && (x.dtype == ScalarType.Float32 || CudaDevices.IsSixteenBit(x.dtype)),
        DeviceType.CPU => x.shape[1] % CpuNormSilu.Lanes == 0 && x.dtype == ScalarType.Float32,
        _ => false,
    };

    /// <summary>y = norm(x), or SiLU of it. Both contiguous with the channels as the last axis; gamma holds as many numbers.</summary>
    public static void Run(Tensor x, Tensor y, Tensor gamma, bool silu)
    {
        var columns = (int)gamma.NumberOfElements;
        var rows = x.NumberOfElements / columns;
        if (x.device_type == DeviceType.CPU)
        {
            CpuNormSilu.Run(x, y, gamma, rows, columns, silu);
            return;
        }

        var at = new KernelAddress(x.device);
        ElementType? type = x.dtype == ScalarType.Float32 ? null : CudaDevices.ElementType(x.dtype);
        new RmsNormSilu(CudaDevices.Open(x.device))
            .Run(at.Of(x, x.dtype, "x"), at.Of(y, x.dtype, "y"), type, rows, columns, at.Of(gamma, ScalarType.Float32, "gamma"), silu);
    }
}
