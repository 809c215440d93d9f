using System.Runtime.InteropServices;

namespace NablaGen.Cuda.Native;

/// <summary>cuBLASLt's functions that are used here. Signatures and values follow cublasLt.h.</summary>
internal static unsafe partial class CublasLt
{
    public const string Library = "nablagen-cublaslt";

    public const int ComputeFloat32 = 68;
    public const int Float32 = 0;
    public const int Float16 = 2;
    public const int BFloat16 = 14;
    public const int Transposed = 1;
    public const int EpilogueGeluBias = 36;

    public const int DescTransposeA = 3;
    public const int DescEpilogue = 7;
    public const int DescBiasPointer = 8;
    public const int PreferenceMaxWorkspaceBytes = 1;

    [LibraryImport(Library)] public static partial int cublasLtCreate(out nint handle);
    [LibraryImport(Library)] public static partial int cublasLtDestroy(nint handle);
    [LibraryImport(Library)] public static partial int cublasLtMatmulDescCreate(out nint desc, int computeType, int scaleType);
    [LibraryImport(Library)] public static partial int cublasLtMatmulDescDestroy(nint desc);
    [LibraryImport(Library)] public static partial int cublasLtMatmulDescSetAttribute(nint desc, int attribute, void* value, nuint bytes);
    [LibraryImport(Library)]
    public static partial int cublasLtMatrixLayoutCreate(out nint layout, int type, ulong rows, ulong columns, long leadingDimension);
    [LibraryImport(Library)] public static partial int cublasLtMatrixLayoutDestroy(nint layout);
    [LibraryImport(Library)] public static partial int cublasLtMatmulPreferenceCreate(out nint preference);
    [LibraryImport(Library)] public static partial int cublasLtMatmulPreferenceDestroy(nint preference);
    [LibraryImport(Library)]
    public static partial int cublasLtMatmulPreferenceSetAttribute(nint preference, int attribute, void* value, nuint bytes);
    [LibraryImport(Library)]
    public static partial int cublasLtMatmulAlgoGetHeuristic(
        nint handle, nint desc, nint a, nint b, nint c, nint d, nint preference, int asked, Heuristic* results, out int found);
    [LibraryImport(Library)]
    public static partial int cublasLtMatmul(
        nint handle, nint desc, void* alpha, nint a, nint layoutA, nint b, nint layoutB, void* beta, nint c, nint layoutC, nint d,
        nint layoutD, void* algorithm, nint workspace, nuint workspaceBytes, nint stream);

    /// <summary>Turns a failed call into an exception.</summary>
    public static void Check(int status, string call)
    {
        if (status != 0)
        {
            throw new CudaException($"{call} failed: cuBLAS status {status}.");
        }
    }

    /// <summary>cublasLtMatmulHeuristicResult_t.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Heuristic
    {
        public fixed ulong Algorithm[8];
        public nuint WorkspaceBytes;
        public int State;
        public float Waves;
        public fixed int Reserved[4];
    }
}
