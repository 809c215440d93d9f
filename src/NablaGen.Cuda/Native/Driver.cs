using System.Runtime.InteropServices;

namespace NablaGen.Cuda.Native;

/// <summary>
/// The CUDA driver's functions that are used here. Signatures follow cuda.h; every result goes through <see cref="Check"/>.
/// </summary>
internal static unsafe partial class Driver
{
    public const string Library = "nablagen-cuda-driver";

    [LibraryImport(Library)] public static partial int cuInit(uint flags);
    [LibraryImport(Library)] public static partial int cuDeviceGetCount(out int count);
    [LibraryImport(Library)] public static partial int cuDeviceGet(out int device, int ordinal);
    [LibraryImport(Library)] public static partial int cuDeviceGetName(byte* name, int length, int device);
    [LibraryImport(Library)] public static partial int cuDeviceGetAttribute(out int value, int attribute, int device);
    [LibraryImport(Library)] public static partial int cuDevicePrimaryCtxRetain(out nint context, int device);
    [LibraryImport(Library)] public static partial int cuCtxGetCurrent(out nint context);
    [LibraryImport(Library)] public static partial int cuCtxSetCurrent(nint context);
    [LibraryImport(Library)] public static partial int cuCtxSynchronize();
    [LibraryImport(Library)] public static partial int cuGetErrorName(int error, out nint text);
    [LibraryImport(Library)] public static partial int cuGetErrorString(int error, out nint text);
    [LibraryImport(Library)] public static partial int cuMemGetInfo_v2(out nuint free, out nuint total);
    [LibraryImport(Library)] public static partial int cuMemAlloc_v2(out nint pointer, nuint bytes);
    [LibraryImport(Library)] public static partial int cuMemFree_v2(nint pointer);
    [LibraryImport(Library)] public static partial int cuMemsetD8Async(nint pointer, byte value, nuint bytes, nint stream);
    [LibraryImport(Library)] public static partial int cuMemcpyHtoD_v2(nint destination, void* source, nuint bytes);
    [LibraryImport(Library)] public static partial int cuMemcpyDtoH_v2(void* destination, nint source, nuint bytes);
    [LibraryImport(Library)] public static partial int cuMemHostRegister_v2(nint start, nuint bytes, uint flags);
    [LibraryImport(Library)] public static partial int cuMemHostUnregister(nint start);
    [LibraryImport(Library)] public static partial int cuMemcpyHtoDAsync_v2(nint destination, nint source, nuint bytes, nint stream);
    [LibraryImport(Library)] public static partial int cuStreamCreate(out nint handle, uint flags);
    [LibraryImport(Library)] public static partial int cuStreamWaitEvent(nint stream, nint handle, uint flags);
    [LibraryImport(Library)] public static partial int cuStreamSynchronize(nint stream);
    [LibraryImport(Library)] public static partial int cuStreamDestroy_v2(nint handle);
    [LibraryImport(Library)] public static partial int cuMemcpyDtoDAsync_v2(nint destination, nint source, nuint bytes, nint stream);
    [LibraryImport(Library)] public static partial int cuModuleLoadData(out nint module, byte* image);
    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int cuModuleGetFunction(out nint function, nint module, string name);
    [LibraryImport(Library)] public static partial int cuFuncSetAttribute(nint function, int attribute, int value);
    [LibraryImport(Library)]
    public static partial int cuLaunchKernel(nint function, uint gridX, uint gridY, uint gridZ, uint blockX, uint blockY, uint blockZ,
        uint sharedBytes, nint stream, void** arguments, void** extra);
    [LibraryImport(Library)] public static partial int cuLaunchHostFunc(nint stream, delegate* unmanaged<nint, void> function, nint argument);
    [LibraryImport(Library)] public static partial int cuEventCreate(out nint handle, uint flags);
    [LibraryImport(Library)] public static partial int cuEventRecord(nint handle, nint stream);
    [LibraryImport(Library)] public static partial int cuEventSynchronize(nint handle);
    [LibraryImport(Library)] public static partial int cuEventElapsedTime(out float milliseconds, nint start, nint end);
    [LibraryImport(Library)] public static partial int cuEventDestroy_v2(nint handle);
    [LibraryImport(Library)]
    public static partial int cuTensorMapEncodeTiled(void* map, int dataType, uint rank, nint address, ulong* dimensions, ulong* strides,
        uint* box, uint* elementStrides, int interleave, int swizzle, int l2Promotion, int outOfBounds);

    /// <summary>Turns a failed call into an exception that names the call, the error and its text.</summary>
    public static void Check(int result, string call)
    {
        if (result == 0)
        {
            return;
        }

        var name = cuGetErrorName(result, out var at) == 0 ? Marshal.PtrToStringUTF8(at) : null;
        var text = cuGetErrorString(result, out at) == 0 ? Marshal.PtrToStringUTF8(at) : null;
        throw new CudaException($"{call} failed: {name ?? $"error {result}"} ({text ?? "no text"}).", result);
    }
}
