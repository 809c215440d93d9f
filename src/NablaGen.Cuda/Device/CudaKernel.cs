using NablaGen.Cuda.Native;

namespace NablaGen.Cuda.Device;

/// <summary>One compiled kernel, loaded on one device.</summary>
internal sealed unsafe class CudaKernel
{
    private const int MaxDynamicSharedBytes = 8;

    private readonly CudaDevice _device;
    private readonly nint _function;
    private readonly string _name;
    private int _sharedBytesAllowed = 48 * 1024;

    private CudaKernel(CudaDevice device, nint function, string name)
    {
        _device = device;
        _function = function;
        _name = name;
    }

    /// <summary>Loads a module image and finds the function in it.</summary>
    public static CudaKernel Load(CudaDevice device, string name, byte[] image)
    {
        nint module;
        // PTX is text and must end with a zero.
        byte[] ended = [.. image, 0];
        fixed (byte* at = ended)
        {
            Driver.Check(Driver.cuModuleLoadData(out module, at), $"cuModuleLoadData({name})");
        }

        Driver.Check(Driver.cuModuleGetFunction(out var function, module, name), $"cuModuleGetFunction({name})");
        return new CudaKernel(device, function, name);
    }

    /// <summary>Puts one launch of a kernel that has one argument on the stream.</summary>
    /// <param name="grid">Thread blocks.</param>
    /// <param name="threads">Threads a block.</param>
    /// <param name="sharedBytes">Dynamic shared memory a block.</param>
    /// <param name="stream">The stream; 0 is the default one.</param>
    /// <param name="work">The argument, laid out as the kernel's <c>Work</c>.</param>
    public void Launch<T>((int X, int Y, int Z) grid, int threads, int sharedBytes, nint stream, T work)
        where T : unmanaged => Launch(grid, threads, sharedBytes, stream, [(nint)(&work)]);

    /// <summary>Puts one launch on the stream.</summary>
    /// <param name="grid">Thread blocks.</param>
    /// <param name="threads">Threads a block.</param>
    /// <param name="sharedBytes">Dynamic shared memory a block.</param>
    /// <param name="stream">The stream; 0 is the default one.</param>
    /// <param name="arguments">Addresses of the arguments, in order.</param>
    public void Launch((int X, int Y, int Z) grid, int threads, int sharedBytes, nint stream, ReadOnlySpan<nint> arguments)
    {
        if (sharedBytes > _device.SharedMemoryPerBlock)
        {
            throw new CudaException($"{_name} needs {sharedBytes} bytes of shared memory; {_device.Name} has "
                + $"{_device.SharedMemoryPerBlock} for a thread block.");
        }

        if (grid.X < 1 || grid.Y is < 1 or > 65_535 || grid.Z is < 1 or > 65_535)
        {
            throw new CudaException(
                $"{_name}: a grid of {grid.X} × {grid.Y} × {grid.Z} cannot be launched (each from 1, Y and Z to 65,535).");
        }

        _device.MakeCurrent();
        if (sharedBytes > _sharedBytesAllowed)
        {
            Driver.Check(Driver.cuFuncSetAttribute(_function, MaxDynamicSharedBytes, sharedBytes), $"cuFuncSetAttribute({_name})");
            _sharedBytesAllowed = sharedBytes;
        }

        fixed (nint* at = arguments)
        {
            Driver.Check(
                Driver.cuLaunchKernel(
                    _function, (uint)grid.X, (uint)grid.Y, (uint)grid.Z, (uint)threads, 1, 1, (uint)sharedBytes, stream, (void**)at,
                    null),
                $"Launching {_name}");
        }
    }
}
