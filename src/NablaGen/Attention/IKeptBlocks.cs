namespace NablaGen.Attention;

/// <summary>What a sparse attention kept, for statistics. Valid while the observer is being told.</summary>
public interface IKeptBlocks
{
    /// <summary>
    /// What it kept and took. Ask for it while being told, read its value at the end of the step: on CUDA the first value read waits for
    /// the device and brings all others asked for so far along, so that layers never wait.
    /// </summary>
    Lazy<KeptStatistics> Statistics { get; }
}
