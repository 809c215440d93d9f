using System.Diagnostics;
using System.Runtime.InteropServices;

namespace NablaGen.Cuda.Native;

/// <summary>Loads the driver, NVRTC, cuBLASLt and NCCL once a process and points this assembly's imports at them.</summary>
internal static class NativeLibraries
{
    private static readonly Lazy<Loaded> CudaDriver = new(LoadDriver);
    private static readonly Lazy<Loaded> RuntimeCompiler = new(LoadNvrtc);

    private static readonly Lazy<Loaded> Blas = new(LoadCublasLt);
    private static readonly Lazy<Loaded> Collectives = new(LoadNccl);

    static NativeLibraries() => NativeLibrary.SetDllImportResolver(typeof(NativeLibraries).Assembly, Resolve);

    /// <summary>The loaded driver.</summary>
    /// <exception cref="CudaException">It was not found; the message says what was looked for.</exception>
    public static void RequireDriver() => CudaDriver.Value.Require();

    /// <summary>The loaded NVRTC's path.</summary>
    /// <exception cref="CudaException">It was not found; the message says what was looked for and where.</exception>
    public static string RequireNvrtc() => RuntimeCompiler.Value.Require();

    /// <summary>Whether cuBLASLt was found.</summary>
    public static bool HasCublasLt => Blas.Value.Handle != 0;

    /// <summary>The loaded cuBLASLt.</summary>
    /// <exception cref="CudaException">It was not found; the message says what was looked for.</exception>
    public static void RequireCublasLt() => Blas.Value.Require();

    /// <summary>The loaded NCCL's path.</summary>
    /// <exception cref="CudaException">It was not found; the message says what was looked for.</exception>
    public static string RequireNccl() => Collectives.Value.Require();

    private static nint Resolve(string name, System.Reflection.Assembly assembly, DllImportSearchPath? path) => name switch
    {
        Driver.Library => CudaDriver.Value.Handle,
        NvrtcNative.Library => RuntimeCompiler.Value.Handle,
        CublasLt.Library => Blas.Value.Handle,
        NcclNative.Library => Collectives.Value.Handle,
        _ => 0,
    };

    private static Loaded LoadDriver()
    {
        foreach (var name in NativeSearch.DriverNames)
        {
            if (NativeLibrary.TryLoad(name, out var handle))
            {
                return new Loaded(handle, name, "");
            }
        }

        return new Loaded(0, "", "No NVIDIA driver: looked for " + string.Join(", ", NativeSearch.DriverNames)
            + " in the system's library folders. Install the NVIDIA driver, or run on the CPU.");
    }

    private static Loaded LoadNvrtc()
    {
        var folders = NativeSearch.NvrtcFolders(Environment.GetEnvironmentVariable, AppContext.BaseDirectory);
        foreach (var file in folders.SelectMany(NativeSearch.NvrtcFiles))
        {
            if (NativeLibrary.TryLoad(file, out var handle))
            {
                return new Loaded(handle, file, "");
            }
        }

        var names = OperatingSystem.IsWindows()
            ? new[] { "nvrtc64_130_0.dll", "nvrtc64_120_0.dll", "nvrtc64_112_0.dll" }
            : ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so"];
        foreach (var name in names)
        {
            if (NativeLibrary.TryLoad(name, out var handle))
            {
                return new Loaded(handle, name, "");
            }
        }

        return new Loaded(0, "", "No NVRTC (NVIDIA's run-time compiler): looked for "
            + (OperatingSystem.IsWindows() ? "nvrtc64_*.dll" : "libnvrtc*.so*") + " in " + string.Join(", ", folders)
            + " and the system's library folders. It comes with TorchSharp's CUDA package, with PyTorch ("
            + NativeSearch.LibTorchVariable + " names its torch/lib) and with the CUDA toolkit (CUDA_PATH).");
    }

    // libtorch has loaded its own copy, which is the one to share: by name alone another version of the system's might come beside it.
    private static Loaded LoadCublasLt()
    {
        if (NativeSearch.LoadedCublasLt(LoadedFiles()) is { } shared && NativeLibrary.TryLoad(shared, out var known))
        {
            return new Loaded(known, shared, "");
        }

        var names = OperatingSystem.IsWindows()
            ? new[] { "cublasLt64_13.dll", "cublasLt64_12.dll", "cublasLt64_11.dll" }
            : ["libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so.11"];
        foreach (var name in names)
        {
            if (NativeLibrary.TryLoad(name, out var handle))
            {
                return new Loaded(handle, name, "");
            }
        }

        return new Loaded(0, "", "No cuBLASLt: looked for " + string.Join(", ", names) + " among the loaded libraries and the system's.");
    }

    // A wheel of PyTorch brings it as a file of its own; a libtorch of one piece has it inside libtorch_cuda.
    private static Loaded LoadNccl()
    {
        const string Name = "libnccl.so.2";
        var loaded = LoadedFiles().ToArray();
        var files = loaded.Where(file => Path.GetFileName(file).StartsWith("libnccl", StringComparison.Ordinal))
            .Concat(NativeSearch.NvrtcFolders(Environment.GetEnvironmentVariable, AppContext.BaseDirectory).Select(folder => Path.Combine(folder, Name)).Where(File.Exists))
            .Append(Name)
            .Concat(loaded.Where(file => Path.GetFileName(file).StartsWith("libtorch_cuda", StringComparison.Ordinal)));
        foreach (var file in OperatingSystem.IsWindows() ? [] : files)
        {
            if (NativeLibrary.TryLoad(file, out var handle) && NativeLibrary.TryGetExport(handle, nameof(NcclNative.ncclSend), out _))
            {
                return new Loaded(handle, file, "");
            }
        }

        return new Loaded(0, "", OperatingSystem.IsWindows()
            ? "several GPUs need NCCL, which NVIDIA does not make for Windows"
            : $"several GPUs need NCCL: looked for {Name} beside libtorch, in nvidia/nccl/lib of PyTorch and in the system's library folders");
    }

    private static IEnumerable<string> LoadedFiles()
    {
        using var process = Process.GetCurrentProcess();
        return [.. process.Modules.Cast<ProcessModule>().Select(module => module.FileName)];
    }

    private sealed record Loaded(nint Handle, string Path, string Problem)
    {
        public string Require() => Handle != 0 ? Path : throw new CudaException(Problem);
    }
}
