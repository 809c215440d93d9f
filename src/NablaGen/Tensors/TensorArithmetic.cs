using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tensors;

/// <summary>
/// Arithmetic of tensors and numbers that keeps the numbers alive. Each method gives the same bits as the operator or method of TorchSharp
/// that it stands for; one with an underscore writes to its tensor and returns it, as in libtorch.
/// </summary>
/// <remarks>
/// TorchSharp makes a native object of each number, and its own operators (<c>x * 0.5</c>, and <c>x + y</c> too, which adds 1 · y) let go of
/// it before the call that reads it has returned: a garbage collection at that moment frees it, and the factor is whatever lies there then,
/// or the process crashes. ScalarTests sees that nothing else in these assemblies converts a number.
/// </remarks>
internal static class TensorArithmetic
{
    /// <summary>x + y</summary>
    public static Tensor Plus(this Tensor x, Tensor y) => x.Plus(y, 1L);

    /// <summary>x + factor · y</summary>
    public static Tensor Plus(this Tensor x, Tensor y, double factor)
    {
        using var number = factor.ToScalar();
        return x.add(y, number);
    }

    /// <summary>x + number</summary>
    public static Tensor Plus(this Tensor x, double number) => x.Plus(number.ToScalar());

    /// <inheritdoc cref="Plus(Tensor, double)"/>
    public static Tensor Plus(this Tensor x, long number) => x.Plus(number.ToScalar());

    /// <summary>x ← x + y</summary>
    public static Tensor Plus_(this Tensor x, Tensor y)
    {
        using var one = 1L.ToScalar();
        return x.add_(y, one);
    }

    /// <summary>x ← x + factor · y</summary>
    public static Tensor Plus_(this Tensor x, Tensor y, double factor)
    {
        using var number = factor.ToScalar();
        return x.add_(y, number);
    }

    /// <summary>x ← x + number</summary>
    public static Tensor Plus_(this Tensor x, double number)
    {
        using Scalar scalar = number.ToScalar(), one = 1L.ToScalar();
        return x.add_(scalar, one);
    }

    /// <summary>x − number</summary>
    public static Tensor Minus(this Tensor x, double number) => x.Minus(number.ToScalar());

    /// <inheritdoc cref="Minus(Tensor, double)"/>
    public static Tensor Minus(this Tensor x, long number) => x.Minus(number.ToScalar());

    /// <summary>x ← x − number</summary>
    public static Tensor Minus_(this Tensor x, double number)
    {
        using var scalar = number.ToScalar();
        return x.sub_(scalar);
    }

    /// <summary>number − x</summary>
    public static Tensor SubtractedFrom(this Tensor x, double number)
    {
        using var negative = x.negative();
        return negative.Plus(number);
    }

    /// <inheritdoc cref="SubtractedFrom(Tensor, double)"/>
    public static Tensor SubtractedFrom(this Tensor x, long number)
    {
        using var negative = x.negative();
        return negative.Plus(number);
    }

    /// <summary>x · factor</summary>
    public static Tensor Times(this Tensor x, double factor) => x.Times(factor.ToScalar());

    /// <inheritdoc cref="Times(Tensor, double)"/>
    public static Tensor Times(this Tensor x, long factor) => x.Times(factor.ToScalar());

    /// <summary>x ← x · factor</summary>
    public static Tensor Times_(this Tensor x, double factor)
    {
        using var number = factor.ToScalar();
        return x.mul_(number);
    }

    /// <summary>x / divisor</summary>
    public static Tensor Over(this Tensor x, double divisor) => x.Over(divisor.ToScalar());

    /// <inheritdoc cref="Over(Tensor, double)"/>
    public static Tensor Over(this Tensor x, long divisor) => x.Over(divisor.ToScalar());

    /// <summary>number / x, as the reciprocal of x times the number.</summary>
    public static Tensor DividedInto(this Tensor x, double number)
    {
        using var reciprocal = x.reciprocal();
        return reciprocal.Times(number);
    }

    /// <summary>x²</summary>
    public static Tensor Squared(this Tensor x)
    {
        using var two = 2L.ToScalar();
        return x.pow(two);
    }

    /// <summary>x ← xᵉ</summary>
    public static Tensor Power_(this Tensor x, long exponent)
    {
        using var number = exponent.ToScalar();
        return x.pow_(number);
    }

    /// <summary>x, no less than <paramref name="least"/> and no more than <paramref name="most"/>.</summary>
    public static Tensor Clamped(this Tensor x, double least, double most)
    {
        using Scalar min = least.ToScalar(), max = most.ToScalar();
        return x.clamp(min, max);
    }

    /// <summary>The same, written to x.</summary>
    public static Tensor Clamped_(this Tensor x, double least, double most)
    {
        using Scalar min = least.ToScalar(), max = most.ToScalar();
        return x.clamp_(min, max);
    }

    /// <summary>x, no less than <paramref name="least"/>.</summary>
    public static Tensor AtLeast(this Tensor x, double least) => x.AtLeast(least.ToScalar());

    /// <inheritdoc cref="AtLeast(Tensor, double)"/>
    public static Tensor AtLeast(this Tensor x, long least) => x.AtLeast(least.ToScalar());

    /// <summary>x, no more than <paramref name="most"/>.</summary>
    public static Tensor AtMost(this Tensor x, double most) => x.AtMost(most.ToScalar());

    /// <inheritdoc cref="AtMost(Tensor, double)"/>
    public static Tensor AtMost(this Tensor x, long most) => x.AtMost(most.ToScalar());

    /// <summary>x + y ∘ z</summary>
    public static Tensor PlusProduct(this Tensor x, Tensor y, Tensor z)
    {
        using var one = 1L.ToScalar();
        return x.addcmul(y, z, one);
    }

    /// <summary>x ← x + factor · y ∘ z</summary>
    public static Tensor PlusProduct_(this Tensor x, Tensor y, Tensor z, double factor)
    {
        using var number = factor.ToScalar();
        return x.addcmul_(y, z, number);
    }

    /// <summary>Where x equals a number. Booleans.</summary>
    public static Tensor IsEqualTo(this Tensor x, long number)
    {
        using var scalar = number.ToScalar();
        return x.eq(scalar);
    }

    /// <summary>Where x differs from a number. Booleans.</summary>
    public static Tensor IsNotEqualTo(this Tensor x, long number)
    {
        using var scalar = number.ToScalar();
        return x.ne(scalar);
    }

    /// <summary>Where x is above a number. Booleans.</summary>
    public static Tensor IsAbove(this Tensor x, long number)
    {
        using var scalar = number.ToScalar();
        return x.gt(scalar);
    }

    /// <summary>Where x is below a number. Booleans.</summary>
    public static Tensor IsBelow(this Tensor x, double number)
    {
        using var scalar = number.ToScalar();
        return x.lt(scalar);
    }

    /// <inheritdoc cref="IsBelow(Tensor, double)"/>
    public static Tensor IsBelow(this Tensor x, long number)
    {
        using var scalar = number.ToScalar();
        return x.lt(scalar);
    }

    /// <summary>Where x is at most a number. Booleans.</summary>
    public static Tensor IsAtMost(this Tensor x, double number)
    {
        using var scalar = number.ToScalar();
        return x.le(scalar);
    }

    /// <summary>x with a number where the mask is true.</summary>
    public static Tensor Masked(this Tensor x, Tensor mask, double number)
    {
        using var scalar = number.ToScalar();
        return x.masked_fill(mask, scalar);
    }

    /// <summary>Writes a number everywhere.</summary>
    public static Tensor Fill_(this Tensor x, double number)
    {
        using var scalar = number.ToScalar();
        return x.fill_(scalar);
    }

    /// <summary>A tensor of one number.</summary>
    public static Tensor Full(long[] shape, double number, ScalarType type, Device device)
    {
        using var scalar = number.ToScalar();
        return full(shape, scalar, type, device);
    }

    /// <summary>0, 1, … count − 1; in int64 unless told otherwise. [count]</summary>
    public static Tensor Range(long count, Device device, ScalarType type = ScalarType.Int64)
    {
        using Scalar start = 0L.ToScalar(), stop = count.ToScalar(), step = 1L.ToScalar();
        return arange(start, stop, step, type, device);
    }

    private static Tensor Plus(this Tensor x, Tensor y, long factor)
    {
        using var number = factor.ToScalar();
        return x.add(y, number);
    }

    // These take the number over.
    private static Tensor Plus(this Tensor x, Scalar number)
    {
        using var one = 1L.ToScalar();
        using (number)
        {
            return x.add(number, one);
        }
    }

    private static Tensor Minus(this Tensor x, Scalar number)
    {
        using (number)
        {
            return x.sub(number);
        }
    }

    private static Tensor Times(this Tensor x, Scalar factor)
    {
        using (factor)
        {
            return x.mul(factor);
        }
    }

    private static Tensor Over(this Tensor x, Scalar divisor)
    {
        using (divisor)
        {
            return x.div(divisor);
        }
    }

    private static Tensor AtLeast(this Tensor x, Scalar least)
    {
        using (least)
        {
            return x.clamp(min: least);
        }
    }

    private static Tensor AtMost(this Tensor x, Scalar most)
    {
        using (most)
        {
            return x.clamp(max: most);
        }
    }
}
