using System.Runtime.InteropServices;

namespace NablaGen.Cuda.Attention;

/// <summary>A tensor's strides as the kernels' <c>Strides</c> has them (ampere.cuh), in elements.</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly struct TensorStrides(AttentionTensor x)
{
    public readonly long Batch = x.BatchStride;
    public readonly long Head = x.HeadStride;
    public readonly long Token = x.TokenStride;
}
