using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Loader;
using NablaGen.Files;
using TorchSharp;

namespace NablaGen.Tensors;

/// <summary>Finds and loads libtorch: the one that came along, or the one in the folder that NABLAGEN_LIBTORCH names.</summary>
/// <remarks>
/// Nobody needs to call anything: libtorch is loaded when the first model or the first tensor is made. <see cref="Load"/> does it at once, so
/// that what is wrong with it is said before other work. The folder may be a PyTorch installation's <c>torch/lib</c>; with CUDA libraries in
/// it, CUDA works. All members may be called from any thread.
/// </remarks>
public static class TorchRuntime
{
    /// <summary>The variable that names a folder with another libtorch.</summary>
    public const string Variable = "NABLAGEN_LIBTORCH";

    // In this order each finds those it needs already there.
    private static readonly string[] Libraries = ["c10", "torch_cpu", "c10_cuda", "torch_cuda", "torch"];

    // Two, for TorchSharp's static constructor asks for the libraries: who holds the libraries' lock must not wait for that constructor.
    private static readonly Lock LoadGate = new();
    private static readonly Lock LibrariesGate = new();
    private static bool _librariesAreLoaded;
    private static bool _loaded;
    private static bool _resolves;

    /// <summary>The folder libtorch came from; null before <see cref="Load"/> or where TorchSharp finds it by itself (Windows).</summary>
    public static string? Folder { get; private set; }

    /// <summary>Whether libtorch's CUDA part was loaded and a device answers.</summary>
    /// <exception cref="NablaGenException">libtorch or TorchSharp is not there, or does not load.</exception>
    public static bool HasCuda
    {
        get
        {
            Load();
            return torch.cuda.is_available();
        }
    }

    /// <summary>Loads libtorch for work with gradients. Has the effect of <see cref="Load"/> where it is loaded already.</summary>
    /// <exception cref="NablaGenException">As for <see cref="Load"/>.</exception>
    public static void LoadForTraining()
    {
        OneDnn.KeepToAvx2();
        Load();
    }

    /// <summary>Loads libtorch and TorchSharp; further calls do nothing.</summary>
    /// <exception cref="NablaGenException">libtorch or TorchSharp is not there, or does not load.</exception>
    public static void Load()
    {
        lock (LoadGate)
        {
            if (_loaded)
            {
                return;
            }

            lock (LibrariesGate)
            {
                LoadLibraries();
            }

            LoadTorchSharp();
            try
            {
                torch.InitializeDeviceType(Folder is not null && File.Exists(FileOf(Folder, "torch_cuda")) ? DeviceType.CUDA : DeviceType.CPU);
            }
            catch (Exception error) when (error is not NablaGenException)
            {
                throw new NablaGenException($"TorchSharp does not load with libtorch from {Folder ?? AppContext.BaseDirectory}: {FirstLine(error)}", error);
            }

            // libtorch convolves float32 in TF32 (ten bits) on CUDA by default; float32 means float32 here.
            torch.backends.cudnn.allow_tf32 = false;
            _loaded = true;
        }
    }

    // Runs before anything else of this assembly. TorchSharp asks the runtime for its libraries by name; the runtime asks here when it
    // does not find them, and only then are 400 MB read.
    [ModuleInitializer]
    [SuppressMessage("Usage", "CA2255", Justification = "A library that is to work without a call has no other place.")]
    internal static void AnswerTorchSharp() =>
        AssemblyLoadContext.GetLoadContext(typeof(TorchRuntime).Assembly)!.ResolvingUnmanagedDll += Resolve;

    private static nint Resolve(Assembly assembly, string name)
    {
        if (assembly.GetName().Name != "TorchSharp")
        {
            return 0;
        }

        lock (LibrariesGate)
        {
            if (_librariesAreLoaded || _resolves)
            {
                return 0;
            }

            // Asked for again below, and within: the runtime's own search finds the library once those that it needs are in memory.
            _resolves = true;
            try
            {
                LoadLibraries();
                return NativeLibrary.TryLoad(name, assembly, null, out var library) ? library : 0;
            }
            finally
            {
                _resolves = false;
            }
        }
    }

    private static void LoadLibraries()
    {
        if (_librariesAreLoaded)
        {
            return;
        }

        NativeHeap.ReturnLargeBlocks();
        // oneDNN keeps a primitive of each size it has met, 3 MiB for one of ours: a long batch of many sizes needs the last ones only.
        NativeEnvironment.SetDefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128");
        OpenMp.WaitPassively();
        var named = Environment.GetEnvironmentVariable(Variable);
        var bundled = Path.Combine(AppContext.BaseDirectory, "libtorch");
        CudaAllocator.Configure(FileOf(!string.IsNullOrEmpty(named) ? named : Path.GetDirectoryName(OwnLibTorch) ?? bundled, "c10_cuda"));
        if (!string.IsNullOrEmpty(named))
        {
            LoadFrom(named, $"{Variable} names");
        }
        else if (OwnLibTorch is null)
        {
            // On Windows it lies beside the program, if at all.
            LoadFrom(OperatingSystem.IsWindows() ? AppContext.BaseDirectory : bundled, "the build puts it");
        }

        _librariesAreLoaded = true;
    }

    // What TorchSharp loads by itself: of a program that references TorchSharp-cpu, or on Windows. Two copies in one process end it.
    private static string? OwnLibTorch => (AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") as string ?? "").Split(Path.PathSeparator)
        .Append(AppContext.BaseDirectory).Where(folder => folder.Length > 0).Select(folder => FileOf(folder, "torch_cpu")).FirstOrDefault(File.Exists);

    private static void LoadFrom(string folder, string why)
    {
        if (OwnLibTorch is { } own)
        {
            throw new NablaGenException($"{Variable} is set, but {own} would be loaded as well: build without that libtorch (-p:NablaGenTorch=none; in NablaGen's own sources -p:Torch=none), or unset the variable");
        }

        if (!File.Exists(FileOf(folder, "torch_cpu")))
        {
            var remedy = folder == Environment.GetEnvironmentVariable(Variable) ? ""
                : $"; let {Variable} name a folder with libtorch 2.10 or 2.11, such as a PyTorch's torch/lib";
            throw new NablaGenException($"libtorch is not in {folder}, which is where {why}: expected {Path.GetFileName(FileOf(folder, "torch_cpu"))} there{remedy}");
        }

        foreach (var path in Libraries.Select(library => FileOf(folder, library)).Where(File.Exists))
        {
            try
            {
                var library = NativeLibrary.Load(path);
                if (path == FileOf(folder, "torch_cpu"))
                {
                    Nnpack.Disable(library);
                }
            }
            catch (Exception error) when (error is DllNotFoundException or BadImageFormatException)
            {
                throw new NablaGenException($"{path} does not load: {FirstLine(error)}", error);
            }
        }

        Folder = folder;
    }

    // TorchSharp would go on looking by itself where this fails: it prints pages, copies half a gigabyte of packages, and hides the reason.
    private static void LoadTorchSharp()
    {
        try
        {
            NativeLibrary.Load("LibTorchSharp", typeof(torch).Assembly, null);
        }
        catch (Exception error) when (error is DllNotFoundException or BadImageFormatException)
        {
            var lines = error.Message.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
            var reason = Array.Find(lines, line => line.Contains("undefined symbol", StringComparison.Ordinal))
                ?? Array.Find(lines, line => line.Contains(".so", StringComparison.Ordinal) && !line.Contains("LibTorchSharp: cannot open", StringComparison.Ordinal)) ?? lines[0];
            var remedy = Folder is not null && Folder == Environment.GetEnvironmentVariable(Variable) ? $"; let {Variable} name one of those, or unset it" : "";
            throw new NablaGenException(Line.Of(
                $"TorchSharp does not load with the libtorch in {Folder ?? AppContext.BaseDirectory}: expected libtorch 2.10, for which it was built, or 2.11{remedy}: {reason}{AddressSpace()}"), error);
        }
    }

    private static string FileOf(string folder, string library) => Path.Combine(folder,
        OperatingSystem.IsWindows() ? library + ".dll" : OperatingSystem.IsMacOS() ? $"lib{library}.dylib" : $"lib{library}.so");

    private static string FirstLine(Exception error) => error.GetBaseException().Message.Split('\n')[0].Trim() + AddressSpace();

    // A limit on what the process may map (ulimit -v, a cluster's job) is no fault of the file.
    private static string AddressSpace()
    {
        const string Field = "Max address space";
        try
        {
            var limit = OperatingSystem.IsLinux()
                ? File.ReadLines("/proc/self/limits").FirstOrDefault(line => line.StartsWith(Field, StringComparison.Ordinal))?[Field.Length..].Trim().Split(' ')[0]
                : null;
            return long.TryParse(limit, NumberStyles.None, CultureInfo.InvariantCulture, out var bytes)
                ? $" (this process may have {bytes / 1048576} MiB of memory addresses at most, see ulimit -v; libtorch takes some thousands)"
                : "";
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
