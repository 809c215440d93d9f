using TorchSharp;

namespace NablaGen.Memory;

/// <summary>
/// Whether the passes with and without the prompt go through the transformer as one batch: only where a pass is too small to keep the
/// device busy. The video is the same but for rounding.
/// </summary>
public static class GuidanceBatch
{
    /// <summary>The most tokens for which one batch is assumed to be faster on CUDA. Measured at 256 tokens only: <c>bench dit --batch 2</c>.</summary>
    public const int MostTokensOnCuda = 2048;

    /// <summary>
    /// The most tokens for which one batch is faster on the CPU: none. At 256 channels, 7 layers and 1,280 tokens ten passes
    /// took 5.8 and 5.4 s of processor time as five batches, 6.5 and 5.6 s one by one (dense, start included).
    /// </summary>
    public const int MostTokensOnCpu = 0;

    /// <summary>Whether one batch is faster.</summary>
    public static bool Pays(long tokens, DeviceType device) => tokens <= (device == DeviceType.CUDA ? MostTokensOnCuda : MostTokensOnCpu);
}
