namespace NablaGen.Attention;

/// <summary>What a sparse attention kept, for statistics. Valid while the observer is being told.</summary>
public interface IKeptBlocks
{
    /// <summary>
    /// What it kept and took. Ask for it while being told, read its value at the end of the step: on CUDA the first value read waits for
    /// the device and brings all others asked for so far along, so that layers never wait.
    /// </summary>
    Lazy<KeptStatistics> Statistics { get; }

    /// <summary>How many key blocks each query block of a head attends to. On CUDA it waits for the device.</summary>
    /// <param name="head">The head; a batch's heads follow one another.</param>
    /// <returns>[Blocks]</returns>
    int[] ReadCounts(int head);

    /// <summary>Which key blocks each query block of a head attends to, as bits. On CUDA it waits for the device.</summary>
    /// <param name="head">The head; a batch's heads follow one another.</param>
    /// <returns>Rows of ⌈Blocks / 32⌉ words; bit j % 32 of word j / 32 is key block j. [Blocks, words]</returns>
    uint[] ReadBits(int head);
}
