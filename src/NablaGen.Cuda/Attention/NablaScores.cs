using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Attention;

/// <summary>Logits between pooled blocks, with the log of each key block's size. Contract: nabla_scores.cu.</summary>
/// <param name="device">Where it runs.</param>
public sealed class NablaScores(CudaDevice device)
{
    /// <summary>Floats from one row of scores to the next.</summary>
    public static int StrideFor(int blocks) => (blocks + 3) / 4 * 4;

    /// <summary>Puts the product on the stream.</summary>
    /// <param name="pooledQ">Device address of float32 [heads, blocks, head size].</param>
    /// <param name="pooledK">The same for K.</param>
    /// <param name="heads">Batch times heads.</param>
    /// <param name="headSize">64 or 128.</param>
    /// <param name="offsets">The blocks.</param>
    /// <param name="scores">Device address of float32 [heads, blocks, <see cref="StrideFor"/>].</param>
    /// <param name="stream">The stream.</param>
    public unsafe void Run(nint pooledQ, nint pooledK, int heads, int headSize, BlockOffsets offsets, nint scores, nint stream = 0)
    {
        if (headSize is not (64 or 128))
        {
            throw new ArgumentException($"Head size {headSize}; the kernels have 64 and 128.");
        }

        var blocks = offsets.Blocks;
        var stride = StrideFor(blocks);
        var at = offsets.Pointer;
        var scale = (float)(1 / Math.Sqrt(headSize));
        int keyTiles = (blocks + LaunchConstants.ScoreKeys - 1) / LaunchConstants.ScoreKeys;
        int queryTiles = (blocks + LaunchConstants.ScoreQueries - 1) / LaunchConstants.ScoreQueries;
        device.Kernel("nabla_scores", $"HEAD_DIM={headSize}").Launch(
            (keyTiles, queryTiles, heads), LaunchConstants.ScoreThreads, LaunchConstants.ScoreSharedBytes, stream,
            [(nint)(&pooledQ), (nint)(&pooledK), (nint)(&at), (nint)(&scores), (nint)(&blocks), (nint)(&stride), (nint)(&scale)]);
    }
}
