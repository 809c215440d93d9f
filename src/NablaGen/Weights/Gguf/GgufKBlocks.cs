namespace NablaGen.Weights.Gguf;

/// <summary>
/// Expands ggml's K types: blocks of 256 elements in groups of 16 or 32, each group with a scale (and a minimum) in a few bits, in float32 and
/// in the order of ggml's operations, to the same bits (formulas of ggml-quants.c, dequantize_row_q*_K).
/// </summary>
internal static unsafe class GgufKBlocks
{
    /// <summary>16 bytes (low half a group's scale, high half its minimum), 64 bytes of 2 bits, d, dmin; d · scale · q − dmin · min.</summary>
    public static void Q2(byte* block, float* values)
    {
        var (d, min) = (GgufBlocks.Half(block + 80), GgufBlocks.Half(block + 82));
        for (var half = 0; half < 2; half++)
        {
            for (var run = 0; run < 8; run++)
            {
                // Two groups of 16 for each pair of bits.
                var scale = block[8 * half + run];
                var (dl, ml) = (d * (scale & 15), min * (scale >> 4));
                var codes = block + 16 + 32 * half + 16 * (run % 2);
                for (var i = 0; i < 16; i++)
                {
                    *values++ = dl * (codes[i] >> 2 * (run / 2) & 3) - ml;
                }
            }
        }
    }

    /// <summary>32 bytes of third bits, 64 bytes of 2 bits, 12 bytes of sixteen 6-bit scales, d; d · (scale − 32) · (q − 4).</summary>
    public static void Q3(byte* block, float* values)
    {
        var d = GgufBlocks.Half(block + 108);
        var packed = block + 96;
        for (var group = 0; group < 16; group++)
        {
            // The lower four bits of scales 0 to 7 are the low halves of bytes 0 to 7, of 8 to 15 the high halves; the upper two lie in bytes 8 to 11.
            var lower = group < 8 ? packed[group] & 15 : packed[group - 8] >> 4;
            var upper = packed[8 + group % 4] >> 2 * (group / 4) & 3;
            var dl = d * ((lower | upper << 4) - 32);
            var (half, run) = (group / 8, group % 8);
            var codes = block + 32 + 32 * half + 16 * (run % 2);
            var thirds = block + 16 * (run % 2);
            var bit = 4 * half + run / 2;
            for (var i = 0; i < 16; i++)
            {
                *values++ = dl * ((codes[i] >> 2 * (run / 2) & 3) - ((thirds[i] >> bit & 1) == 0 ? 4 : 0));
            }
        }
    }

    /// <summary>d, dmin, 12 bytes of eight 6-bit scales and minima, 128 bytes of 4 bits; d · scale · q − dmin · min.</summary>
    public static void Q4(byte* block, float* values)
    {
        var (d, min) = (GgufBlocks.Half(block), GgufBlocks.Half(block + 2));
        for (var group = 0; group < 8; group++)
        {
            var (scale, offset) = ScaleAndMin(block + 4, group);
            var (dl, ml) = (d * scale, min * offset);
            var codes = block + 16 + 32 * (group / 2);
            for (var i = 0; i < 32; i++)
            {
                *values++ = dl * (codes[i] >> 4 * (group % 2) & 15) - ml;
            }
        }
    }

    /// <summary>As Q4_K with 32 bytes of fifth bits, one bit a group, before the codes.</summary>
    public static void Q5(byte* block, float* values)
    {
        var (d, min) = (GgufBlocks.Half(block), GgufBlocks.Half(block + 2));
        for (var group = 0; group < 8; group++)
        {
            var (scale, offset) = ScaleAndMin(block + 4, group);
            var (dl, ml) = (d * scale, min * offset);
            var fifths = block + 16;
            var codes = block + 48 + 32 * (group / 2);
            for (var i = 0; i < 32; i++)
            {
                *values++ = dl * ((codes[i] >> 4 * (group % 2) & 15) + (fifths[i] >> group & 1) * 16) - ml;
            }
        }
    }

    /// <summary>128 bytes of low 4 bits, 64 bytes of high 2 bits, 16 signed scales, d; d · scale · (q − 32).</summary>
    public static void Q6(byte* block, float* values)
    {
        var d = GgufBlocks.Half(block + 208);
        for (var half = 0; half < 2; half++)
        {
            var low = block + 64 * half;
            var high = block + 128 + 32 * half;
            var scales = (sbyte*)block + 192 + 8 * half;
            for (var run = 0; run < 4; run++)
            {
                for (var i = 0; i < 32; i++)
                {
                    var code = low[i + 32 * (run % 2)] >> 4 * (run / 2) & 15 | (high[i] >> 2 * run & 3) << 4;
                    *values++ = d * scales[i / 16 + 2 * run] * (code - 32);
                }
            }
        }
    }

    // Six bits each: the first four groups' lie whole in bytes 0 to 3 and 4 to 7, the others' are the halves of bytes 8 to 11 and the first eight bytes' top bits.
    private static (int Scale, int Min) ScaleAndMin(byte* packed, int group) => group < 4
        ? (packed[group] & 63, packed[group + 4] & 63)
        : (packed[group + 4] & 15 | packed[group - 4] >> 6 << 4, packed[group + 4] >> 4 | packed[group] >> 6 << 4);
}
