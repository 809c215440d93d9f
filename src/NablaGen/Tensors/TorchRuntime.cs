using System.Runtime.InteropServices;
using TorchSharp;

namespace NablaGen.Tensors;

/// <summary>Loads libtorch: the one that came along, or the one in the folder that NABLAGEN_LIBTORCH names.</summary>
/// <remarks>
/// A program calls <see cref="Load"/> before it touches TorchSharp. The folder may be a PyTorch installation's <c>torch/lib</c>; with CUDA
/// libraries in it, CUDA works.
/// </remarks>
public static class TorchRuntime
{
    /// <summary>The variable that names a folder with another libtorch.</summary>
    public const string Variable = "NABLAGEN_LIBTORCH";

    // In this order each finds those it needs already there.
    private static readonly string[] Libraries = ["c10", "torch_cpu", "c10_cuda", "torch_cuda", "torch"];

    private static readonly Lock Gate = new();
    private static bool _loaded;

    /// <summary>The folder libtorch came from; null before <see cref="Load"/> or where TorchSharp finds it by itself (Windows).</summary>
    public static string? Folder { get; private set; }

    /// <summary>Whether libtorch's CUDA part was loaded and a device answers.</summary>
    public static bool HasCuda => torch.cuda.is_available();

    /// <summary>Loads libtorch; further calls do nothing.</summary>
    /// <exception cref="NablaGenException">It is not there, or does not load.</exception>
    public static void Load()
    {
        lock (Gate)
        {
            if (_loaded)
            {
                return;
            }

            NativeHeap.ReturnLargeBlocks();
            OpenMp.WaitPassively();
            var named = Environment.GetEnvironmentVariable(Variable);
            var bundled = Path.Combine(AppContext.BaseDirectory, "libtorch");
            var folder = !string.IsNullOrEmpty(named) ? named : HasOwnLibTorch ? AppContext.BaseDirectory : bundled;
            CudaAllocator.Configure(FileOf(folder, "c10_cuda"));
            if (!string.IsNullOrEmpty(named))
            {
                LoadFrom(named, $"{Variable} names");
            }
            else if (!HasOwnLibTorch)
            {
                LoadFrom(bundled, "the build puts it in");
            }

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

    // Windows, or a program that references TorchSharp-cpu: TorchSharp loads what lies beside the program. Two copies in one process
    // end it.
    private static bool HasOwnLibTorch => OperatingSystem.IsWindows() || File.Exists(FileOf(AppContext.BaseDirectory, "torch_cpu"));

    private static void LoadFrom(string folder, string why)
    {
        if (File.Exists(FileOf(AppContext.BaseDirectory, "torch_cpu")))
        {
            throw new NablaGenException($"{Variable} is set, but {FileOf(AppContext.BaseDirectory, "torch_cpu")} would be loaded as well: build with -p:Torch=none, or unset it");
        }

        if (!File.Exists(FileOf(folder, "torch_cpu")))
        {
            throw new NablaGenException($"libtorch is not in {folder}, which is where {why}: expected {Path.GetFileName(FileOf(folder, "torch_cpu"))} there");
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

    private static string FileOf(string folder, string library) => Path.Combine(folder,
        OperatingSystem.IsWindows() ? library + ".dll" : OperatingSystem.IsMacOS() ? $"lib{library}.dylib" : $"lib{library}.so");

    private static string FirstLine(Exception error) => error.GetBaseException().Message.Split('\n')[0].Trim();
}
