using System.Runtime.InteropServices;
using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Native;

namespace NablaGen.Cuda.Device;

/// <summary>
/// One GPU: its primary context, which TorchSharp uses too, its kernels and its memory. Made once a process and device
/// (<see cref="Open"/>); safe for several threads. Work goes to the stream given, by default stream 0, TorchSharp's own, so it runs
/// in order with TorchSharp's.
/// </summary>
public sealed class CudaDevice
{
    private static readonly Lock Gate = new();
    private static readonly Dictionary<int, CudaDevice> Opened = [];

    private readonly nint _context;
    private readonly Dictionary<string, CudaKernel> _kernels = [];
    private readonly Lazy<Nvrtc> _nvrtc = new(Nvrtc.Load);
    private readonly KernelCache _cache = KernelCache.ForUser();

    private unsafe CudaDevice(int ordinal)
    {
        Ordinal = ordinal;
        Driver.Check(Driver.cuDeviceGet(out var device, ordinal), $"cuDeviceGet({ordinal})");
        var name = stackalloc byte[256];
        Driver.Check(Driver.cuDeviceGetName(name, 256, device), "cuDeviceGetName");
        Name = Marshal.PtrToStringUTF8((nint)name)!;
        int Attribute(int which)
        {
            Driver.Check(Driver.cuDeviceGetAttribute(out var value, which, device), "cuDeviceGetAttribute");
            return value;
        }

        Capability = new ComputeCapability(Attribute(75), Attribute(76));
        Multiprocessors = Attribute(16);
        SharedMemoryPerBlock = Attribute(97);
        Driver.Check(Driver.cuDevicePrimaryCtxRetain(out _context, device), "cuDevicePrimaryCtxRetain");
    }

    /// <summary>The device's number, counted as the driver counts (CUDA_VISIBLE_DEVICES applies).</summary>
    public int Ordinal { get; }

    /// <summary>Its name, such as "NVIDIA H100 80GB HBM3".</summary>
    public string Name { get; }

    /// <summary>Its architecture.</summary>
    public ComputeCapability Capability { get; }

    /// <summary>Number of streaming multiprocessors.</summary>
    public int Multiprocessors { get; }

    /// <summary>Most shared memory that one thread block may have, in bytes.</summary>
    public int SharedMemoryPerBlock { get; }

    /// <summary>How many kernels were compiled, not found in the cache, so far.</summary>
    public int Compilations => _cache.Compilations;

    /// <summary>The oldest compute capability that the kernels run on, times ten.</summary>
    public const int LeastCapability = 80;

    /// <summary>What the run-time compiler makes for this device, such as "sm_90a".</summary>
    /// <exception cref="CudaException">The compiler was not found, or knows no such device.</exception>
    public string Target => _nvrtc.Value.TargetFor(Capability);

    /// <summary>The run-time compiler, such as "nvrtc 13.0 (/usr/lib/libnvrtc.so.13)".</summary>
    /// <exception cref="CudaException">It was not found.</exception>
    public string Compiler => $"{_nvrtc.Value.Identity} ({_nvrtc.Value.Path})";

    /// <summary>True if there is a driver with a device; else <paramref name="reason"/> says what was looked for.</summary>
    public static bool IsAvailable(out string reason)
    {
        try
        {
            reason = Count() > 0 ? "" : "The NVIDIA driver is there but shows no device (CUDA_VISIBLE_DEVICES may hide it).";
        }
        catch (CudaException error)
        {
            reason = error.Message;
        }

        return reason.Length == 0;
    }

    /// <summary>The device of that number, opened once a process.</summary>
    /// <param name="ordinal">From 0.</param>
    /// <exception cref="CudaException">No driver, no such device, or the device is too old to make a context.</exception>
    public static CudaDevice Open(int ordinal = 0)
    {
        lock (Gate)
        {
            if (!Opened.TryGetValue(ordinal, out var device))
            {
                var count = Count();
                if (ordinal < 0 || ordinal >= count)
                {
                    throw new CudaException($"There is no CUDA device {ordinal}: the driver shows {count}.");
                }

                device = new CudaDevice(ordinal);
                Opened.Add(ordinal, device);
            }

            return device;
        }
    }

    /// <summary>Makes the device's primary context the calling thread's.</summary>
    public void MakeCurrent()
    {
        Driver.Check(Driver.cuCtxGetCurrent(out var current), "cuCtxGetCurrent");
        if (current != _context)
        {
            Driver.Check(Driver.cuCtxSetCurrent(_context), "cuCtxSetCurrent");
        }
    }

    /// <summary>
    /// Free and total device memory in bytes, as the driver counts it: what TorchSharp's allocator holds is not free.
    /// </summary>
    public (long Free, long Total) Memory()
    {
        MakeCurrent();
        Driver.Check(Driver.cuMemGetInfo_v2(out var free, out var total), "cuMemGetInfo");
        return ((long)free, (long)total);
    }

    /// <summary>Waits until all work given to the device so far is done.</summary>
    /// <exception cref="CudaException">Some of that work failed.</exception>
    public void Synchronize()
    {
        MakeCurrent();
        Driver.Check(Driver.cuCtxSynchronize(), "cuCtxSynchronize");
    }

    /// <summary>
    /// The kernel <paramref name="name"/> of NAME.cu with the macros given, compiled for this device: from memory, from
    /// disk, or now.
    /// </summary>
    /// <param name="name">File name without ending, which is also the function's name.</param>
    /// <param name="macros">Such as "HEAD_DIM=128".</param>
    /// <exception cref="CudaException">No NVRTC, a compile failure (with the log), or a module the driver refuses.</exception>
    internal CudaKernel Kernel(string name, params ReadOnlySpan<string> macros)
    {
        var id = name + " " + string.Join(' ', macros);
        lock (_kernels)
        {
            if (!_kernels.TryGetValue(id, out var kernel))
            {
                kernel = Load(name, macros);
                _kernels.Add(id, kernel);
            }

            return kernel;
        }
    }

    /// <summary>True where the Hopper kernels can run: compute capability 9.0 and an NVRTC that knows sm_90a.</summary>
    public bool HasHopperKernels => Capability.Number == 90 && Target == "sm_90a";

    /// <summary>True where <c>mma.sync</c> multiplies fp8 numbers: compute capability 8.9 and newer, and an NVRTC (12.4 and newer) that can say so.</summary>
    public bool HasFp8Products => Nvrtc.HasFp8Products(Target, _nvrtc.Value.Major, _nvrtc.Value.Minor);

    private CudaKernel Load(string name, ReadOnlySpan<string> macros)
    {
        MakeCurrent();
        string[] options =
        [
            $"--gpu-architecture={Target}", "--std=c++17",
            .. macros.ToArray().Select(macro => "-D" + macro),
        ];
        var source = KernelSource.Load(name);
        var compiled = _cache.Compilations;
        var image = _cache.Get(_nvrtc.Value, source, options);
        try
        {
            return CudaKernel.Load(this, name, image);
        }
        catch (CudaException) when (_cache.Compilations == compiled)
        {
            // What the cache held is whole but not to this driver's taste: build it anew, once.
            return CudaKernel.Load(this, name, _cache.Get(_nvrtc.Value, source, options, fresh: true));
        }
    }

    private static int Count()
    {
        NativeLibraries.RequireDriver();
        Driver.Check(Driver.cuInit(0), "cuInit");
        Driver.Check(Driver.cuDeviceGetCount(out var count), "cuDeviceGetCount");
        return count;
    }
}

/// <summary>A device's architecture: 8.0 is A100, 8.9 Ada, 9.0 Hopper, 12.0 consumer Blackwell.</summary>
/// <param name="Major">First part.</param>
/// <param name="Minor">Second part.</param>
public readonly record struct ComputeCapability(int Major, int Minor)
{
    /// <summary>Both parts as NVIDIA's targets write them: 90 for 9.0.</summary>
    public int Number => Major * 10 + Minor;

    /// <summary>As in "9.0".</summary>
    public override string ToString() => $"{Major}.{Minor}";
}
