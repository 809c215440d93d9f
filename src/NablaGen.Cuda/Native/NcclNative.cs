using System.Runtime.InteropServices;

namespace NablaGen.Cuda.Native;

/// <summary>NCCL's functions that are used here. Signatures and values follow nccl.h of version 2.</summary>
internal static unsafe partial class NcclNative
{
    public const string Library = "nablagen-nccl";

    /// <summary>Bytes of a communicator's name.</summary>
    public const int IdBytes = 128;

    /// <summary>Elements of one byte.</summary>
    public const int UInt8 = 1;

    /// <summary>What a communicator is known by.</summary>
    [StructLayout(LayoutKind.Sequential, Size = IdBytes)]
    public struct UniqueId
    {
        public byte First;
    }

    [LibraryImport(Library)] public static partial int ncclGetVersion(out int version);
    [LibraryImport(Library)] public static partial int ncclGetUniqueId(out UniqueId id);
    [LibraryImport(Library)] public static partial int ncclCommInitRank(out nint comm, int ranks, UniqueId id, int rank);
    [LibraryImport(Library)] public static partial int ncclCommDestroy(nint comm);
    [LibraryImport(Library)] public static partial int ncclCommAbort(nint comm);
    [LibraryImport(Library)] public static partial int ncclCommGetAsyncError(nint comm, out int error);
    [LibraryImport(Library)] public static partial int ncclGroupStart();
    [LibraryImport(Library)] public static partial int ncclGroupEnd();
    [LibraryImport(Library)] public static partial int ncclSend(nint buffer, nuint count, int type, int peer, nint comm, nint stream);
    [LibraryImport(Library)] public static partial int ncclRecv(nint buffer, nuint count, int type, int peer, nint comm, nint stream);
    [LibraryImport(Library)] private static partial nint ncclGetErrorString(int result);
    [LibraryImport(Library)] private static partial nint ncclGetLastError(nint comm);

    /// <summary>Fails unless a call succeeded.</summary>
    /// <param name="result">What it returned.</param>
    /// <param name="call">Its name.</param>
    /// <param name="comm">The communicator, which knows more; 0 for none.</param>
    public static void Check(int result, string call, nint comm = 0)
    {
        if (result == 0)
        {
            return;
        }

        var more = Marshal.PtrToStringUTF8(ncclGetLastError(comm))?.Split('\n')[0].Trim();
        throw new CudaException($"{call}: {Marshal.PtrToStringUTF8(ncclGetErrorString(result))}{(string.IsNullOrEmpty(more) ? "" : $" ({more})")}");
    }
}
