using System.Globalization;
using System.Text;
using NablaGen.Cuda.Device;
using NablaGen.Cuda.Native;

namespace NablaGen.Cuda.Compilation;

/// <summary>NVIDIA's run-time compiler.</summary>
internal sealed unsafe class Nvrtc : IKernelCompiler
{
    private readonly int[] _supported;

    private Nvrtc(string path, int major, int minor, int[] supported)
    {
        Path = path;
        Major = major;
        Minor = minor;
        _supported = supported;
    }

    /// <summary>Where the library was found.</summary>
    public string Path { get; }

    /// <summary>Its version, such as 13.0.</summary>
    public int Major { get; }

    /// <summary>The second part of its version.</summary>
    public int Minor { get; }

    /// <inheritdoc/>
    public string Identity => $"nvrtc {Major}.{Minor}";

    /// <summary>Loads it.</summary>
    /// <exception cref="CudaException">It was not found; the message says where it was looked for.</exception>
    public static Nvrtc Load()
    {
        var path = NativeLibraries.RequireNvrtc();
        NvrtcNative.Check(NvrtcNative.nvrtcVersion(out var major, out var minor), "nvrtcVersion");
        NvrtcNative.Check(NvrtcNative.nvrtcGetNumSupportedArchs(out var count), "nvrtcGetNumSupportedArchs");
        var archs = new int[count];
        fixed (int* at = archs)
        {
            NvrtcNative.Check(NvrtcNative.nvrtcGetSupportedArchs(at), "nvrtcGetSupportedArchs");
        }

        return new Nvrtc(path, major, minor, archs);
    }

    /// <summary>
    /// The target for a device: machine code of its own architecture where this NVRTC knows it (sm_90a on Hopper), else PTX of the
    /// newest older one, which the driver translates.
    /// </summary>
    public string TargetFor(ComputeCapability capability) => ChooseTarget(capability, _supported, Major);

    /// <summary>See <see cref="TargetFor"/>.</summary>
    internal static string ChooseTarget(ComputeCapability capability, IReadOnlyCollection<int> supported, int major)
    {
        if (capability.Number < CudaDevice.LeastCapability)
        {
            throw new CudaException($"The device has compute capability {capability}; the kernels need 8.0 or newer (Ampere).");
        }

        if (supported.Contains(capability.Number))
        {
            return capability.Number == 90 && major >= 12 ? "sm_90a" : $"sm_{capability.Number}";
        }

        var older = supported.Where(number => number < capability.Number && number >= CudaDevice.LeastCapability).DefaultIfEmpty(0).Max();
        return older > 0
            ? $"compute_{older}"
            : throw new CudaException($"This NVRTC ({major}) knows no architecture from 8.0 to {capability}; install a newer one.");
    }

    /// <summary>Whether a target has <c>mma.sync</c> of fp8 numbers, which PTX 8.4 (CUDA 12.4) can say for 8.9 and newer.</summary>
    /// <param name="target">What <see cref="TargetFor"/> gives.</param>
    /// <param name="major">This NVRTC's version.</param>
    /// <param name="minor">The second part of it.</param>
    internal static bool HasFp8Products(string target, int major, int minor)
    {
        var number = target[(target.IndexOf('_', StringComparison.Ordinal) + 1)..].TrimEnd('a');
        return int.Parse(number, CultureInfo.InvariantCulture) >= 89 && (major, minor).CompareTo((12, 4)) >= 0;
    }

    /// <inheritdoc/>
    public byte[] Compile(KernelSource source, IReadOnlyList<string> options)
    {
        NvrtcNative.Check(
            NvrtcNative.nvrtcCreateProgram(out var program, source.Text, source.Name + ".cu", source.Headers.Count,
                [.. source.Headers.Select(header => header.Text)], [.. source.Headers.Select(header => header.Name)]),
            "nvrtcCreateProgram");
        try
        {
            var result = NvrtcNative.nvrtcCompileProgram(program, options.Count, [.. options]);
            if (result != 0)
            {
                throw new CudaException(
                    $"{source.Name}.cu does not compile ({Identity}, {string.Join(' ', options)}):\n{Log(program)}", result);
            }

            return options.Any(option => option.Contains("=compute_", StringComparison.Ordinal)) ? Ptx(program) : Cubin(program);
        }
        finally
        {
            NvrtcNative.nvrtcDestroyProgram(ref program);
        }
    }

    private static string Log(nint program)
    {
        NvrtcNative.Check(NvrtcNative.nvrtcGetProgramLogSize(program, out var size), "nvrtcGetProgramLogSize");
        var log = new byte[(int)size];
        fixed (byte* at = log)
        {
            NvrtcNative.Check(NvrtcNative.nvrtcGetProgramLog(program, at), "nvrtcGetProgramLog");
        }

        return Encoding.UTF8.GetString(log).TrimEnd('\0', '\n');
    }

    private static byte[] Cubin(nint program)
    {
        NvrtcNative.Check(NvrtcNative.nvrtcGetCUBINSize(program, out var size), "nvrtcGetCUBINSize");
        var image = new byte[(int)size];
        fixed (byte* at = image)
        {
            NvrtcNative.Check(NvrtcNative.nvrtcGetCUBIN(program, at), "nvrtcGetCUBIN");
        }

        return image;
    }

    private static byte[] Ptx(nint program)
    {
        NvrtcNative.Check(NvrtcNative.nvrtcGetPTXSize(program, out var size), "nvrtcGetPTXSize");
        var image = new byte[(int)size];
        fixed (byte* at = image)
        {
            NvrtcNative.Check(NvrtcNative.nvrtcGetPTX(program, at), "nvrtcGetPTX");
        }

        return image;
    }
}
