using System.Runtime.InteropServices;
using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Attention;

/// <summary>The gradients for every device from 8.0 on. Contract: block_attention_backward_sm80.cu.</summary>
internal sealed class AmpereAttentionBackward(CudaDevice device)
{
    /// <summary>Puts one side on the stream; arguments are checked by the caller.</summary>
    public void Run(GradientSide side, BlockOffsets offsets, nint stream)
    {
        var work = new Work
        {
            OwnedA = side.OwnedA.Pointer,
            OwnedB = side.OwnedB.Pointer,
            PartnerA = side.PartnerA.Pointer,
            PartnerB = side.PartnerB.Pointer,
            GradientA = side.GradientA.Pointer,
            GradientB = side.GradientB?.Pointer ?? 0,
            Sums = side.Sums,
            Bits = side.Bits.Pointer,
            Offsets = offsets.Pointer,
            OwnedAStrides = new TensorStrides(side.OwnedA),
            OwnedBStrides = new TensorStrides(side.OwnedB),
            PartnerAStrides = new TensorStrides(side.PartnerA),
            PartnerBStrides = new TensorStrides(side.PartnerB),
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
        device.Kernel("block_attention_backward_sm80", side.Macros).Launch(
            side.Grid, LaunchConstants.GradientThreads, side.TileBytes + 1024, stream, work);
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Work
    {
        public nint OwnedA, OwnedB, PartnerA, PartnerB, GradientA, GradientB, Sums, Bits, Offsets;
        public TensorStrides OwnedAStrides, OwnedBStrides, PartnerAStrides, PartnerBStrides, GradientAStrides, GradientBStrides;
        public long BitHeadStride;
        public int Heads, Blocks, Words, Tokens;
        public float Scale, ScaleLog2;
    }
}
