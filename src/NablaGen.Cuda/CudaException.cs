namespace NablaGen.Cuda;

/// <summary>
/// Something on the GPU's side went wrong: no driver, no NVRTC, a compile failure, a failed call. <see cref="Exception.Message"/> is
/// fit to be printed: it names the call, the error and its text, or what was looked for and where.
/// </summary>
public sealed class CudaException : Exception
{
    /// <summary>An error with a line for the user.</summary>
    public CudaException(string message)
        : base(message)
    {
    }

    /// <summary>An error with a line for the user and its cause.</summary>
    public CudaException(string message, Exception inner)
        : base(message, inner)
    {
    }

    /// <summary>A failed call with the driver's or NVRTC's error code.</summary>
    public CudaException(string message, int code)
        : base(message) => Code = code;

    /// <summary>The driver's (CUresult) or NVRTC's (nvrtcResult) error code; 0 where there is none.</summary>
    public int Code { get; }

    /// <summary>True when the device had no memory left (CUDA_ERROR_OUT_OF_MEMORY).</summary>
    public bool IsOutOfMemory => Code == 2;
}
