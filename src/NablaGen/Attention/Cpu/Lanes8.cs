using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace NablaGen.Attention.Cpu;

/// <summary>A 256-bit register: AVX2 with FMA.</summary>
internal readonly unsafe struct Lanes8(Vector256<float> value) : ILanes<Lanes8>
{
    // Below and above, n in Exp would leave the range −127 … 128, whose ends stand for 0 and ∞.
    private const float LowestExponent = -88.02f;
    private const float HighestExponent = 89f;

    // 1.5 · 2^23 + 127: added to a number, it leaves it rounded in the last bits, with the bias of a float's exponent.
    private const float RoundAndBias = 12583039f;

    private readonly Vector256<float> _value = value;

    public static int Count => 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 operator +(Lanes8 left, Lanes8 right) => new(left._value + right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 operator -(Lanes8 left, Lanes8 right) => new(left._value - right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 operator *(Lanes8 left, Lanes8 right) => new(left._value * right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 operator /(Lanes8 left, Lanes8 right) => new(left._value / right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 All(float value) => new(Vector256.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 Load(float* from) => new(Vector256.Load(from));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store(float* to) => _value.Store(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 MultiplyAdd(Lanes8 x, Lanes8 y, Lanes8 z) => new(Vector256.FusedMultiplyAdd(x._value, y._value, z._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 Max(Lanes8 x, Lanes8 y) => new(Vector256.MaxNative(x._value, y._value));

    /// <summary>e^x; 0 below −87.7 (no subnormal numbers), ∞ above 88.4.</summary>
    /// <remarks>
    /// Cephes' expf: x = n ln 2 + r with ln 2 in two parts, a polynomial in r, and n into the exponent. Vector256.Exp computes in double
    /// precision, which takes more than twice as long for digits that float32 sums cannot use.
    /// </remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 Exp(Lanes8 x)
    {
        // A NaN must come through: x86 gives the second of a pair with one.
        var y = Vector256.MinNative(Vector256.Create(HighestExponent), Vector256.MaxNative(Vector256.Create(LowestExponent), x._value));
        var shifted = Vector256.FusedMultiplyAdd(y, Vector256.Create(1.44269504f), Vector256.Create(RoundAndBias));
        var n = shifted - Vector256.Create(RoundAndBias);
        var r = Vector256.FusedMultiplyAdd(n, Vector256.Create(-0.693359375f), y);
        r = Vector256.FusedMultiplyAdd(n, Vector256.Create(2.12194440e-4f), r);
        var p = Vector256.Create(1.9875691500e-4f);
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(1.3981999507e-3f));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(8.3334519073e-3f));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(4.1665795894e-2f));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(1.6666665459e-1f));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(5.0000001201e-1f));
        p = Vector256.FusedMultiplyAdd(p, r * r, r + Vector256<float>.One);
        return new(p * (shifted.AsInt32() << 23).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Lanes8 x) => Vector256.Sum(x._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Max(Lanes8 x, float other)
    {
        var four = Vector128.MaxNative(x._value.GetLower(), x._value.GetUpper());
        var two = Vector128.MaxNative(four, Vector128.Shuffle(four, Vector128.Create(2, 3, 0, 1)));
        var one = Vector128.MaxNative(two, Vector128.Shuffle(two, Vector128.Create(1, 0, 3, 2)));
        return Vector128.MaxNative(one, Vector128.CreateScalar(other))[0];
    }
}
