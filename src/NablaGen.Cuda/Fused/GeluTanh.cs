using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Fused;

/// <summary>GELU, tanh form, computed in float32 and rounded once. Contract: gelu_tanh.cu.</summary>
/// <param name="device">Where it runs.</param>
public sealed class GeluTanh(CudaDevice device)
{
    /// <summary>Puts y = GELU(x) on the stream.</summary>
    /// <param name="x">Device address of 16-bit elements, contiguous.</param>
    /// <param name="y">Device address of the result; may be x.</param>
    /// <param name="type">Type of both.</param>
    /// <param name="count">Number of elements, a multiple of 8.</param>
    /// <param name="stream">The stream.</param>
    public unsafe void Run(nint x, nint y, ElementType type, long count, nint stream = 0)
    {
        FusedOp.RequireAligned([x, y]);
        if (count < 8 || count % 8 != 0)
        {
            throw new ArgumentException($"{count} elements; they must be a multiple of 8.");
        }

        var vectors = count / 8;
        device.Kernel("gelu_tanh", FusedOp.Macros(type)).Launch(
            (FusedOp.WalkGrid(device, vectors), 1, 1), FusedOp.WalkThreads, 0, stream, [(nint)(&x), (nint)(&y), (nint)(&vectors)]);
    }
}
