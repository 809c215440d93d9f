using NablaGen.Cuda.Attention;

namespace NablaGen.Tests.Cuda;

/// <summary>bfloat16 and half on the host.</summary>
internal static class Element16
{
    /// <summary>Rounds to nearest even.</summary>
    public static ushort Encode(ElementType type, double value) => type == ElementType.Float16
        ? BitConverter.HalfToUInt16Bits((Half)value)
        : ToBFloat16((float)value);

    /// <summary>The exact value.</summary>
    public static float Decode(ElementType type, ushort bits) => type == ElementType.Float16
        ? (float)BitConverter.UInt16BitsToHalf(bits)
        : BitConverter.UInt32BitsToSingle((uint)bits << 16);

    public static ushort[] Encode(ElementType type, double[] values) => [.. values.Select(value => Encode(type, value))];

    public static double[] Decode(ElementType type, ushort[] bits) => [.. bits.Select(b => (double)Decode(type, b))];

    /// <summary>The nearest value of the type.</summary>
    public static double Round(ElementType type, double value) => Decode(type, Encode(type, value));

    private static ushort ToBFloat16(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value) ? (ushort)0x7fff : (ushort)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
}
