using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Fused;

/// <summary>Numbers in the 8-bit floats and in ggml's blocks to 16 bits, to the bits of the CPU's expansion rounded once. Contract: expand_numbers.cu.</summary>
/// <param name="device">Where it runs.</param>
public sealed class ExpandNumbers(CudaDevice device)
{
    private const int PieceElements = 8;

    // ggml's number of a type, and what a block has.
    private static readonly Dictionary<string, (int Number, int Elements, int Bytes)> Known = new(StringComparer.Ordinal)
    {
        ["Q4_0"] = (2, 32, 18),
        ["Q4_1"] = (3, 32, 20),
        ["Q5_0"] = (6, 32, 22),
        ["Q5_1"] = (7, 32, 24),
        ["Q8_0"] = (8, 32, 34),
        ["Q2_K"] = (10, 256, 84),
        ["Q3_K"] = (11, 256, 110),
        ["Q4_K"] = (12, 256, 144),
        ["Q5_K"] = (13, 256, 176),
        ["Q6_K"] = (14, 256, 210),
        ["IQ4_NL"] = (20, 32, 18),
        ["IQ4_XS"] = (23, 256, 136),
        ["F8_E4M3"] = (100, PieceElements, PieceElements),
        ["F8_E5M2"] = (101, PieceElements, PieceElements),
    };

    /// <summary>The formats' names.</summary>
    public static IReadOnlyCollection<string> Formats => Known.Keys;

    /// <summary>Whether rows of so many numbers in a format can be expanded.</summary>
    public static bool Fits(string format, long columns) => Known.TryGetValue(format, out var known) && columns % known.Elements == 0;

    /// <summary>Bytes of so many numbers, in whole blocks.</summary>
    public static long BytesOf(string format, long count) => count / Known[format].Elements * Known[format].Bytes;

    /// <summary>Puts the expansion on the stream. Arguments are device addresses.</summary>
    /// <param name="format">One of <see cref="Formats"/>.</param>
    /// <param name="blocks">The bytes, block after block; any alignment.</param>
    /// <param name="scales">float32 factors of the 8-bit floats, or 0 for none.</param>
    /// <param name="perScale">Numbers that share a factor: a row's, or all.</param>
    /// <param name="y">16-bit [count].</param>
    /// <param name="type">Type of y.</param>
    /// <param name="count">Numbers, in whole blocks.</param>
    /// <param name="stream">The stream.</param>
    public unsafe void Run(string format, nint blocks, nint scales, long perScale, nint y, ElementType type, long count, nint stream = 0)
    {
        FusedOp.RequireAligned([y]);
        if (!Fits(format, count) || count < PieceElements || perScale % PieceElements != 0 || (scales != 0 && perScale == 0))
        {
            throw new ArgumentException($"{count} numbers in {format}, {perScale} of them with one factor; expected whole blocks.");
        }

        var pieces = count / PieceElements;
        device.Kernel("expand_numbers", FusedOp.Macros(type, $"FORMAT={Known[format].Number}")).Launch(
            (FusedOp.WalkGrid(device, pieces), 1, 1), FusedOp.WalkThreads, 0, stream,
            [(nint)(&blocks), (nint)(&scales), (nint)(&perScale), (nint)(&y), (nint)(&pieces)]);
    }
}
