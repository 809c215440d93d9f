using System.Runtime.InteropServices;
using System.Text;

namespace NablaGen.Cuda.Benchmarks;

/// <summary>NumPy's file of one array, version 1.0, so that other programs can time the same masks.</summary>
internal static class NumpyFile
{
    // Magic, version and the header's length come before the header; all of it ends at a multiple of 64.
    private const int Preamble = 10, Alignment = 64;

    /// <summary>Writes a mask as elements of type <c>|b1</c>, aside first.</summary>
    public static void Write(string path, bool[,,] mask)
    {
        var header = $"{{'descr': '|b1', 'fortran_order': False, 'shape': ({mask.GetLength(0)}, {mask.GetLength(1)}, {mask.GetLength(2)}), }}";
        var length = (Preamble + header.Length + Alignment) / Alignment * Alignment - Preamble;
        var aside = path + ".partial";
        using (var file = new BinaryWriter(File.Create(aside)))
        {
            file.Write([0x93, .. "NUMPY"u8, 1, 0]);
            file.Write((ushort)length);
            file.Write(Encoding.ASCII.GetBytes(header.PadRight(length - 1) + "\n"));
            file.Write(MemoryMarshal.CreateReadOnlySpan(ref MemoryMarshal.GetArrayDataReference(mask), mask.Length));
        }

        File.Move(aside, path, overwrite: true);
    }
}
