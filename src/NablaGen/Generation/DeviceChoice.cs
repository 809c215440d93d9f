using System.Globalization;
using NablaGen.Cuda.Device;
using NablaGen.Memory;
using NablaGen.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Generation;

/// <summary>What the names of devices and types mean on this machine.</summary>
public static class DeviceChoice
{
    /// <summary>The device of <c>auto</c>, <c>cpu</c>, <c>cuda</c> or <c>cuda:n</c>. libtorch is loaded by now.</summary>
    /// <param name="text">The name.</param>
    /// <exception cref="InvalidRequestException">It is none of these.</exception>
    /// <exception cref="NablaGenException">There is no such device; the line says why.</exception>
    public static Device Resolve(string text)
    {
        switch (text.Split(':'))
        {
            case ["auto"]:
                return TorchRuntime.HasCuda ? CUDA : CPU;
            case ["cpu"]:
                return CPU;
            case ["cuda"]:
                return Cuda(0, text);
            case ["cuda", var number] when int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var index):
                return Cuda(index, text);
            default:
                throw new InvalidRequestException($"device '{text}' is not known: use auto, cpu, cuda or cuda:<number>");
        }
    }

    /// <summary>The type of <c>auto</c> (float32 on the CPU, bfloat16 on CUDA), <c>float32</c> or <c>bfloat16</c>.</summary>
    /// <param name="text">The name.</param>
    /// <param name="device">Where the type is used.</param>
    /// <exception cref="InvalidRequestException">It is none of these.</exception>
    public static ScalarType ResolveDtype(string text, Device device) => text switch
    {
        "auto" => device.type == DeviceType.CPU ? ScalarType.Float32 : ScalarType.BFloat16,
        "float32" => ScalarType.Float32,
        "bfloat16" => ScalarType.BFloat16,
        _ => throw new InvalidRequestException($"dtype '{text}' is not known: use auto, float32 or bfloat16"),
    };

    /// <summary>The bytes of an amount of device memory, such as <c>8GB</c>; null for null.</summary>
    /// <param name="text">The amount, as <c>--vram</c> takes it.</param>
    /// <param name="device">Where the memory is.</param>
    /// <exception cref="InvalidRequestException">It is no amount, or the device has no such limit.</exception>
    public static long? ResolveVram(string? text, Device device) => text is null
        ? null
        : device.type == DeviceType.CUDA
            ? ByteSize.Parse(text)
            : throw new InvalidRequestException($"--vram has no effect on the {device.type.ToString().ToUpperInvariant()}");

    private static Device Cuda(int index, string text)
    {
        if (!TorchRuntime.HasCuda)
        {
            // Without a driver no libtorch would do.
            throw new NablaGenException(CudaDevice.IsAvailable(out var reason)
                ? $"device '{text}': no CUDA device answers through libtorch in {TorchRuntime.Folder ?? AppContext.BaseDirectory}; "
                    + $"build with -p:Torch=cuda, or let {TorchRuntime.Variable} name the lib folder of a PyTorch with CUDA"
                : $"device '{text}': {reason}");
        }

        return index < cuda.device_count()
            ? new Device(DeviceType.CUDA, index)
            : throw new NablaGenException($"device '{text}': there are {cuda.device_count()} CUDA devices, numbered from 0");
    }
}
