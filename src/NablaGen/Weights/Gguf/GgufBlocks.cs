namespace NablaGen.Weights.Gguf;

/// <summary>
/// Expands blocks of ggml's types whose scale is a block's own, in float32 and in the order of ggml's operations, to the same bits
/// (formulas of ggml-quants.c, dequantize_row_*). The layouts are in the comments; d is a half, the first thing of most blocks.
/// </summary>
internal static unsafe class GgufBlocks
{
    private const int Small = 32;

    // The values that IQ4's codes stand for (ggml-common.h, kvalues_iq4nl).
    private static ReadOnlySpan<sbyte> Iq4Values => [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

    /// <summary>A half at any address, as float32.</summary>
    public static float Half(byte* at) => (float)BitConverter.UInt16BitsToHalf((ushort)(at[0] | at[1] << 8));

    /// <summary>d, 16 bytes: the low halves are elements 0 to 15, the high halves 16 to 31; (q − 8) · d.</summary>
    public static void Q4_0(byte* block, float* values)
    {
        var d = Half(block);
        for (var i = 0; i < Small / 2; i++)
        {
            values[i] = ((block[2 + i] & 15) - 8) * d;
            values[i + 16] = ((block[2 + i] >> 4) - 8) * d;
        }
    }

    /// <summary>d, a half m, 16 bytes as Q4_0's; q · d + m.</summary>
    public static void Q4_1(byte* block, float* values)
    {
        var (d, m) = (Half(block), Half(block + 2));
        for (var i = 0; i < Small / 2; i++)
        {
            values[i] = (block[4 + i] & 15) * d + m;
            values[i + 16] = (block[4 + i] >> 4) * d + m;
        }
    }

    /// <summary>d, 32 fifth bits, 16 bytes as Q4_0's; (q − 16) · d.</summary>
    public static void Q5_0(byte* block, float* values)
    {
        var d = Half(block);
        var high = Bits(block + 2);
        for (var i = 0; i < Small / 2; i++)
        {
            values[i] = ((block[6 + i] & 15 | (int)(high >> i & 1) << 4) - 16) * d;
            values[i + 16] = ((block[6 + i] >> 4 | (int)(high >> (i + 16) & 1) << 4) - 16) * d;
        }
    }

    /// <summary>d, a half m, 32 fifth bits, 16 bytes; q · d + m.</summary>
    public static void Q5_1(byte* block, float* values)
    {
        var (d, m) = (Half(block), Half(block + 2));
        var high = Bits(block + 4);
        for (var i = 0; i < Small / 2; i++)
        {
            values[i] = (block[8 + i] & 15 | (int)(high >> i & 1) << 4) * d + m;
            values[i + 16] = (block[8 + i] >> 4 | (int)(high >> (i + 16) & 1) << 4) * d + m;
        }
    }

    /// <summary>d, 32 signed bytes; q · d.</summary>
    public static void Q8_0(byte* block, float* values)
    {
        var d = Half(block);
        for (var i = 0; i < Small; i++)
        {
            values[i] = (sbyte)block[2 + i] * d;
        }
    }

    /// <summary>d, 16 bytes as Q4_0's whose codes stand for values of a table; d · value.</summary>
    public static void Iq4Nl(byte* block, float* values) => Iq4(Half(block), block + 2, values);

    /// <summary>d, 8 × 2 upper bits of scales, 8 × 4 lower bits, 8 groups as IQ4_NL's 16 bytes; d · (scale − 32) · value.</summary>
    public static void Iq4Xs(byte* block, float* values)
    {
        var d = Half(block);
        var upper = block[2] | block[3] << 8;
        for (var group = 0; group < 8; group++)
        {
            var scale = block[4 + group / 2] >> 4 * (group % 2) & 15 | (upper >> 2 * group & 3) << 4;
            Iq4(d * (scale - 32), block + 8 + 16 * group, values + Small * group);
        }
    }

    private static void Iq4(float scale, byte* codes, float* values)
    {
        for (var i = 0; i < Small / 2; i++)
        {
            values[i] = scale * Iq4Values[codes[i] & 15];
            values[i + 16] = scale * Iq4Values[codes[i] >> 4];
        }
    }

    private static uint Bits(byte* at) => (uint)(at[0] | at[1] << 8 | at[2] << 16 | at[3] << 24);
}
