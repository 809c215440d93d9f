using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Training.Runs;

/// <summary>Random numbers by step, so that a resumed run draws what it would have drawn.</summary>
internal static class StepRandom
{
    /// <summary>The first clip that no training sees: for pictures and measurements.</summary>
    public const long FirstUnseen = 1L << 40;

    /// <summary>From the first clip of a pool to the first of the pool beside it: more than any training makes.</summary>
    public const long PoolClips = 1L << 32;

    /// <summary>Seeds libtorch's generators, the CPU's and the GPU's, for a step.</summary>
    public static void Seed(long seed, int step, Device device) => DeviceRandom.Seed(Mix(seed, step), device);

    /// <summary>Numbers for decisions of our own in a step.</summary>
    public static Random Of(long seed, int step) => new((int)(Mix(seed, step) % int.MaxValue));

    private static long Mix(long seed, int step) => unchecked((seed * 1_000_003 + step) & long.MaxValue);
}
