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
    public const int EpilogueBias = 4;
    public const int Float8E4M3 = 28;

    /// <summary>A float32 for each row of A's, or column of B's, result.</summary>
    public const int ScaleARow = 3;

    public const int DescTransposeA = 3;
    public const int DescEpilogue = 7;
    public const int DescBiasPointer = 8;
    public const int DescScalePointerA = 17;
    public const int DescScalePointerB = 18;
    public const int DescFastSums = 25;
    public const int DescScaleModeA = 31;
    public const int DescScaleModeB = 32;
    public const int PreferenceMaxWorkspaceBytes = 1;
    private const int NotSupported = 15;

    // The one thought best may be one that cannot run, as its state says; then others are asked for.
    private const int Others = 16;

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

    /// <summary>The algorithm that cuBLASLt thinks best for a product into d; null if it has none.</summary>
    public static Heuristic? Choose(nint handle, nint desc, nint a, nint b, nint d, long workspaceBytes)
    {
        Check(cublasLtMatmulPreferenceCreate(out var preference), "cublasLtMatmulPreferenceCreate");
        try
        {
            nuint bytes = (nuint)workspaceBytes;
            Check(
                cublasLtMatmulPreferenceSetAttribute(preference, PreferenceMaxWorkspaceBytes, &bytes, (nuint)sizeof(nuint)),
                "cublasLtMatmulPreferenceSetAttribute");
            return Choose(handle, desc, a, b, d, preference, 1) ?? Choose(handle, desc, a, b, d, preference, Others);
        }
        finally
        {
            _ = cublasLtMatmulPreferenceDestroy(preference);
        }
    }

    private static Heuristic? Choose(nint handle, nint desc, nint a, nint b, nint d, nint preference, int asked)
    {
        var best = stackalloc Heuristic[asked];
        var status = cublasLtMatmulAlgoGetHeuristic(handle, desc, a, b, d, d, preference, asked, best, out var found);
        if (status == NotSupported)
        {
            return null;
        }

        Check(status, "cublasLtMatmulAlgoGetHeuristic");
        for (var i = 0; i < found; i++)
        {
            if (best[i].State == 0)
            {
                return best[i];
            }
        }

        return null;
    }

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
