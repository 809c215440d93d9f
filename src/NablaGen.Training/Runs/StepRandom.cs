using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Training.Runs;

/// <summary>Random numbers by step, so that a resumed run draws what it would have drawn.</summary>
public static class StepRandom
{
    /// <summary>The first clip that no training sees: for pictures and measurements.</summary>
    public const long FirstUnseen = 1L << 40;

    /// <summary>From the first clip of a pool to the first of the pool beside it: more than any training makes.</summary>
    public const long PoolClips = 1L << 32;

    /// <summary>Seeds libtorch's generators, the CPU's and the GPU's, for a step.</summary>
    /// <param name="seed">The training's seed.</param>
    /// <param name="step">The step, from 0.</param>
    /// <param name="device">Where it is trained.</param>
    /// <param name="rank">Which of several that train together; each draws other numbers.</param>
    public static void Seed(long seed, int step, Device device, int rank = 0) => DeviceRandom.Seed(Mix(seed + OfRank(rank), step), device);

    /// <summary>What a rank adds to a training's seed, so that its clips and draws are its own.</summary>
    public static long OfRank(int rank) => (long)rank << 32;

    /// <summary>Numbers for decisions of our own in a step.</summary>
    public static Random Of(long seed, int step) => new((int)(Mix(seed, step) % int.MaxValue));

    private static long Mix(long seed, int step) => unchecked((seed * 1_000_003 + step) & long.MaxValue);
}
