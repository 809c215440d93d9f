using TorchSharp;

namespace NablaGen.Pipeline;

/// <summary>
/// Whether the passes with and without the prompt go through the transformer as one batch: only where a pass is too small to keep the
/// device busy. It is the same video but for rounding.
/// </summary>
public static class GuidanceBatch
{
    /// <summary>The most tokens for which one batch is taken to be faster on CUDA.</summary>
    public const int MostTokensOnCuda = 2048;

    /// <summary>The most tokens for which one batch is faster on the CPU (docs/performance.md).</summary>
    public const int MostTokensOnCpu = 0;

    /// <summary>Whether one batch is faster.</summary>
    public static bool Pays(long tokens, DeviceType device) => tokens <= (device == DeviceType.CUDA ? MostTokensOnCuda : MostTokensOnCpu);
}
