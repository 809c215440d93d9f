using System.Numerics;

namespace NablaGen.Attention.Cpu;

/// <summary>
/// A vector register of float32, as much of it as our CPU kernels need: they are written once, and compiled for each width
/// (<see cref="Lanes8"/>, <see cref="Lanes16"/>). Which one runs is <see cref="CpuLanes.Widest"/>.
/// </summary>
internal unsafe interface ILanes<TSelf> :
    IAdditionOperators<TSelf, TSelf, TSelf>,
    ISubtractionOperators<TSelf, TSelf, TSelf>,
    IMultiplyOperators<TSelf, TSelf, TSelf>,
    IDivisionOperators<TSelf, TSelf, TSelf>
    where TSelf : struct, ILanes<TSelf>
{
    /// <summary>Numbers in a register.</summary>
    static abstract int Count { get; }

    /// <summary>The same number in every lane.</summary>
    static abstract TSelf All(float value);

    static abstract TSelf Load(float* from);

    void Store(float* to);

    /// <summary>x · y + z, rounded once.</summary>
    static abstract TSelf MultiplyAdd(TSelf x, TSelf y, TSelf z);

    /// <summary>The larger of each pair; a pair with a NaN gives either.</summary>
    static abstract TSelf Max(TSelf x, TSelf y);

    /// <summary>e^x; 0 for −∞, NaN for NaN.</summary>
    static abstract TSelf Exp(TSelf x);

    /// <summary>Sum over the lanes.</summary>
    static abstract float Sum(TSelf x);

    /// <summary>The largest of the lanes and <paramref name="other"/>; with a NaN among them, any.</summary>
    static abstract float Max(TSelf x, float other);
}
