using System.Runtime.InteropServices;
using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Attention;

/// <summary>The gradients with TMA and wgmma, compute capability 9.0. Contract: block_attention_backward_sm90.cu.</summary>
internal sealed class HopperAttentionBackward(CudaDevice device)
{
    /// <summary>Puts one side on the stream; arguments are checked by the caller.</summary>
    public unsafe void Run(GradientSide side, BlockOffsets offsets, nint stream)
    {
        var (ownedA, ownedB) = (TensorMap.For(side.OwnedA), TensorMap.For(side.OwnedB));
        var (partnerA, partnerB) = (TensorMap.For(side.PartnerA), TensorMap.For(side.PartnerB));
        var work = new Work
        {
            GradientA = side.GradientA.Pointer,
            GradientB = side.GradientB?.Pointer ?? 0,
            Sums = side.Sums,
            Bits = side.Bits.Pointer,
            Offsets = offsets.Pointer,
            GradientAStrides = new TensorStrides(side.GradientA),
            GradientBStrides = new TensorStrides(side.GradientB ?? side.GradientA),
            BitHeadStride = side.BitHeadStride,
            Heads = side.OwnedA.Heads,
            Blocks = side.Bits.Blocks,
            Words = side.Bits.Words,
            Tokens = side.OwnedA.Tokens,
            Scale = side.Scale,
            ScaleLog2 = (float)(side.Scale * Math.Log2(Math.E)),
        };
        device.Kernel("block_attention_backward_sm90", side.Macros).Launch(
            side.Grid, LaunchConstants.GradientThreads, side.TileBytes + 2048, stream,
            [(nint)(&ownedA), (nint)(&ownedB), (nint)(&partnerA), (nint)(&partnerB), (nint)(&work)]);
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Work
    {
        public nint GradientA, GradientB, Sums, Bits, Offsets;
        public TensorStrides GradientAStrides, GradientBStrides;
        public long BitHeadStride;
        public int Heads, Blocks, Words, Tokens;
        public float Scale, ScaleLog2;
    }
}
