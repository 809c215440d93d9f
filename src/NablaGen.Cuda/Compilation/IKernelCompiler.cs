namespace NablaGen.Cuda.Compilation;

/// <summary>Turns a kernel's source into a module image for one device. NVRTC in the program, a fake in the cache's tests.</summary>
internal interface IKernelCompiler
{
    /// <summary>Names the compiler and its version, such as "nvrtc 13.0": part of a cache entry's key.</summary>
    string Identity { get; }

    /// <summary>Compiles; the result is a cubin or PTX that cuModuleLoadData takes.</summary>
    /// <exception cref="CudaException">The source does not compile; the message holds the compiler's log.</exception>
    byte[] Compile(KernelSource source, IReadOnlyList<string> options);
}
