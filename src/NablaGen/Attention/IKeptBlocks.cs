namespace NablaGen.Attention;

/// <summary>What a sparse attention kept, for statistics. Valid while the observer is being told.</summary>
public interface IKeptBlocks
{
    /// <summary>The share of (query block, key block) pairs that are kept, 0 to 1, over all heads. On CUDA it waits for the device.</summary>
    double Density { get; }
}
