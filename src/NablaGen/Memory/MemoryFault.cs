using System.Runtime.InteropServices;
using NablaGen.Cuda;

namespace NablaGen.Memory;

/// <summary>Tells out-of-memory errors and device errors from all others, from whichever library.</summary>
internal static class MemoryFault
{
    // What libtorch says: CUDACachingAllocator, cudaMalloc, cuBLAS, cuDNN; the CPU's allocator.
    private static readonly string[] OnDevice = ["CUDA out of memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED"];
    private static readonly string[] OnHost = ["DefaultCPUAllocator", "alloc_cpu.cpp", "std::bad_alloc"];

    /// <summary>The device had no memory left.</summary>
    public static bool IsDeviceFull(Exception error) => error switch
    {
        CudaException cuda => cuda.IsOutOfMemory,
        ExternalException => OnDevice.Any(error.Message.Contains),
        _ => Inner(error, IsDeviceFull),
    };

    /// <summary>The host had no memory left.</summary>
    public static bool IsHostFull(Exception error) => error switch
    {
        OutOfMemoryException => true,
        ExternalException => OnHost.Any(error.Message.Contains),
        _ => Inner(error, IsHostFull),
    };

    /// <summary>The device, its driver or one of its libraries failed.</summary>
    public static bool IsOfDevice(Exception error) => error switch
    {
        CudaException => true,
        ExternalException => error.Message.Contains("CUDA", StringComparison.Ordinal) || error.Message.Contains("cuDNN", StringComparison.Ordinal),
        _ => Inner(error, IsOfDevice),
    };

    /// <summary>The error's first line; libtorch adds where in its sources it happened.</summary>
    public static string Line(Exception error) => error.GetBaseException().Message.Split('\n')[0].Trim();

    private static bool Inner(Exception error, Func<Exception, bool> holds) => error switch
    {
        NablaGenException => false,
        AggregateException several => several.InnerExceptions.Any(holds),
        { InnerException: { } inner } => holds(inner),
        _ => false,
    };
}
