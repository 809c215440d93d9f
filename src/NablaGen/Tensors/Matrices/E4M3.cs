namespace NablaGen.Tensors.Matrices;

/// <summary>
/// fp8 with four bits of exponent and three of mantissa (OCP 8-bit Floating Point Specification, 1.0): no infinity, NaN is 0x7F and 0xFF, the
/// largest number is 448.
/// </summary>
internal static class E4M3
{
    /// <summary>The largest number.</summary>
    public const float Largest = 448;

    /// <summary>A row with nothing larger counts as zeros: its factor would be infinite. As in eight_bits.cuh.</summary>
    public const float Tiny = 1e-30f;

    private static readonly float[] Table = [.. Enumerable.Range(0, 256).Select(code => Decode((byte)code))];

    /// <summary>The 256 numbers, by their code.</summary>
    public static ReadOnlySpan<float> Values => Table;

    /// <summary>The code of the nearest number, of two equally near the one with an even code; beyond the largest, the largest.</summary>
    public static byte Encode(float value)
    {
        if (float.IsNaN(value))
        {
            return 0x7F;
        }

        var bits = BitConverter.SingleToUInt32Bits(value);
        var sign = (byte)(bits >> 24 & 0x80);
        bits &= 0x7FFF_FFFF;
        if (bits < 0x3C80_0000) // Below 2^-6: subnormals, multiples of 2^-9.
        {
            return (byte)(sign | (byte)MathF.Round(BitConverter.UInt32BitsToSingle(bits) * 512, MidpointRounding.ToEven));
        }

        // Three bits of mantissa are left, and a carry goes into the exponent.
        bits += 0x7_FFFF + (bits >> 20 & 1);
        var code = (bits >> 20) - ((127u - 7) << 3);
        return (byte)(sign | Math.Min(code, 0x7Eu));
    }

    private static float Decode(byte code)
    {
        var (exponent, mantissa) = ((code & 0x7F) >> 3, (code & 7) / 8f);
        var magnitude = (code & 0x7F) == 0x7F ? float.NaN
            : exponent == 0 ? MathF.ScaleB(mantissa, -6)
            : MathF.ScaleB(1 + mantissa, exponent - 7);
        return code < 128 ? magnitude : -magnitude;
    }
}
