using TorchSharp;

namespace NablaGen.Attention.Cpu;

/// <summary>How many threads our own CPU kernels use: as many as libtorch.</summary>
internal static class CpuThreads
{
    public static ParallelOptions Options => new() { MaxDegreeOfParallelism = Math.Max(1, torch.get_num_threads()) };
}
