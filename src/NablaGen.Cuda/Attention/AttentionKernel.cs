namespace NablaGen.Cuda.Attention;

/// <summary>The kernels that <see cref="BlockAttention"/> has.</summary>
public enum AttentionKernel
{
    /// <summary>The fastest that the device can run.</summary>
    Best,

    /// <summary>mma.sync and cp.async: every device from compute capability 8.0 on. Reads the mask's lists.</summary>
    Ampere,

    /// <summary>TMA and wgmma: compute capability 9.0. Reads the mask's bits.</summary>
    Hopper,
}
