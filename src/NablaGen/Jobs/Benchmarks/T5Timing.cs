namespace NablaGen.Jobs.Benchmarks;

/// <summary>The time of one prompt through a text encoder.</summary>
/// <param name="Tokens">Tokens of the prompt.</param>
/// <param name="Dtype">The type of weights and activations.</param>
/// <param name="Milliseconds">The median.</param>
/// <param name="Fastest">The shortest, in milliseconds.</param>
/// <param name="Slowest">The longest, in milliseconds.</param>
/// <param name="MemoryBytes">Memory in use on the device (all programs'), or the process's peak on the CPU.</param>
public sealed record T5Timing(int Tokens, string Dtype, double Milliseconds, double Fastest, double Slowest, long MemoryBytes);
