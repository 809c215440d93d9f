namespace NablaGen.Cuda.Attention;

/// <summary>The kernels that <see cref="EightBitAttention"/> has.</summary>
public enum EightBitKernel
{
    /// <summary>The fastest that the device can run.</summary>
    Best,

    /// <summary>mma.sync and cp.async: every device from compute capability 8.9 on. Reads the mask's lists.</summary>
    Ada,

    /// <summary>TMA and wgmma: compute capability 9.0. Reads the mask's bits.</summary>
    Hopper,
}
