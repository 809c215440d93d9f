using E4M3Codes = NablaGen.Tensors.Matrices.E4M3;

namespace NablaGen.Weights;

/// <summary>The values of the OCP 8-bit floats ("OCP 8-bit Floating Point Specification", 1.0), as bfloat16 and single.</summary>
internal static class Float8
{
    private static readonly float[] E4M3 = Table(exponentBits: 4);
    private static readonly float[] E5M2 = Table(exponentBits: 5);
    private static readonly ushort[] E4M3AsBFloat16 = Array.ConvertAll(E4M3, ToBFloat16);
    private static readonly ushort[] E5M2AsBFloat16 = Array.ConvertAll(E5M2, ToBFloat16);

    /// <summary>The 256 values of a type, by their byte.</summary>
    public static ReadOnlySpan<float> Values(StoredType type) => type == StoredType.F8_E4M3 ? E4M3 : E5M2;

    /// <summary>The same values as bits of bfloat16, which holds them all exactly.</summary>
    public static ReadOnlySpan<ushort> BFloat16Values(StoredType type) => type == StoredType.F8_E4M3 ? E4M3AsBFloat16 : E5M2AsBFloat16;

    /// <summary>The code of the nearest E4M3 value, of two equally near the one with an even code; beyond the largest, the largest.</summary>
    public static byte ToE4M3(float value) => E4M3Codes.Encode(value);

    private static float[] Table(int exponentBits)
    {
        var mantissaBits = 7 - exponentBits;
        var bias = (1 << (exponentBits - 1)) - 1;
        var values = new float[256];
        for (var code = 0; code < 256; code++)
        {
            var mantissa = code & ((1 << mantissaBits) - 1);
            var exponent = (code & 0x7F) >> mantissaBits;
            var fraction = mantissa / (float)(1 << mantissaBits);
            var magnitude = exponent == 0
                ? MathF.ScaleB(fraction, 1 - bias) // subnormal
                : MathF.ScaleB(1 + fraction, exponent - bias);
            if (exponentBits == 4 && (code & 0x7F) == 0x7F)
            {
                magnitude = float.NaN; // E4M3 keeps the rest of its top exponent for numbers.
            }
            else if (exponentBits == 5 && exponent == 31)
            {
                magnitude = mantissa == 0 ? float.PositiveInfinity : float.NaN;
            }

            values[code] = code < 128 ? magnitude : -magnitude;
        }

        return values;
    }

    private static ushort ToBFloat16(float value) => (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16);
}
