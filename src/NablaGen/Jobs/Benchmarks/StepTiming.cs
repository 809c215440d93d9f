namespace NablaGen.Jobs.Benchmarks;

/// <summary>One solver step of a measured generation: the passes with and without the prompt, and the solver.</summary>
/// <param name="Milliseconds">From the end of the step before to its own end on the device.</param>
/// <param name="EnqueueMilliseconds">Until the CPU had put all of it on the stream. What is left is what the CPU was ahead by.</param>
/// <param name="MemoryBytes">Memory in use on the device after it (all programs'), or the process's own on the CPU.</param>
public sealed record StepTiming(double Milliseconds, double EnqueueMilliseconds, long MemoryBytes)
{
    /// <summary>How far the CPU was ahead of the device at the step's end. Near zero where the device waits for launches; always on the CPU.</summary>
    public double AheadMilliseconds => Milliseconds - EnqueueMilliseconds;
}
