using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tensors;

/// <summary>
/// The address of a tensor for one of our own kernels, which believe what they are told: another type, gaps between rows or another device
/// would give wrong numbers or end the process. This is the one place that hands such addresses out.
/// </summary>
/// <remarks>Keep the tensor alive until the kernel's work is on the stream.</remarks>
/// <param name="device">The kernel's device.</param>
internal readonly struct KernelAddress(Device device)
{
    /// <summary>The kernel's device.</summary>
    public Device Device => device;

    /// <summary>The address of a contiguous tensor; 0 for none.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="type">The type that the kernel reads or writes.</param>
    /// <param name="name">What the kernel calls it, for the message.</param>
    /// <exception cref="ArgumentException">It has another type, is not contiguous, or is elsewhere.</exception>
    public nint Of(Tensor? tensor, ScalarType type, string name)
    {
        if (tensor is null)
        {
            return 0;
        }

        Require(tensor, type, name);
        return tensor.is_contiguous() ? TensorMemory.Address(tensor) : throw Bad(tensor, name, "contiguous");
    }

    /// <summary>The address of a tensor whose last axis alone is contiguous, such as a part of a modulation; 0 for none.</summary>
    /// <param name="tensor">The tensor. [B, groups, C]</param>
    /// <param name="type">The type that the kernel reads or writes.</param>
    /// <param name="rowStride">Elements from one group to the next, the first of the next video included, as the kernel is told.</param>
    /// <param name="name">What the kernel calls it, for the message.</param>
    /// <exception cref="ArgumentException">It has another type or other strides, or is elsewhere.</exception>
    public nint OfRows(Tensor? tensor, ScalarType type, long rowStride, string name)
    {
        if (tensor is null)
        {
            return 0;
        }

        Require(tensor, type, name);
        var groups = tensor.shape[1];
        var fits = tensor.stride(-1) == 1 && (groups == 1 || tensor.stride(1) == rowStride) && (tensor.shape[0] == 1 || tensor.stride(0) == groups * rowStride);
        return fits ? TensorMemory.Address(tensor) : throw Bad(tensor, name, $"in rows of its last axis, {rowStride} elements from one to the next");
    }

    /// <summary>The address of a tensor of which the last axis alone is contiguous, for a kernel that is told all other strides.</summary>
    /// <param name="tensor">The tensor, of any shape.</param>
    /// <param name="type">The type that the kernel reads or writes.</param>
    /// <param name="name">What the kernel calls it, for the message.</param>
    /// <exception cref="ArgumentException">It has another type, has gaps in its last axis, or is elsewhere.</exception>
    public nint OfStrided(Tensor tensor, ScalarType type, string name)
    {
        Require(tensor, type, name);
        return tensor.stride(-1) == 1 ? TensorMemory.Address(tensor) : throw Bad(tensor, name, "without gaps in its last axis");
    }

    /// <summary>Fails unless a tensor has a type and is on the kernel's device.</summary>
    public void Require(Tensor tensor, ScalarType type, string name)
    {
        if (tensor.dtype != type || tensor.device_type != device.type
            || (device.type == DeviceType.CUDA && Math.Max(tensor.device_index, 0) != Math.Max(device.index, 0)))
        {
            throw Bad(tensor, name, $"{type} on {device}");
        }
    }

    private static ArgumentException Bad(Tensor tensor, string name, string expected) => new(
        $"{name}: expected a tensor {(expected.Contains(" on ", StringComparison.Ordinal) ? "of " : "")}{expected}, found {tensor.dtype} on {tensor.device}, "
        + $"shape [{Numbers(tensor.shape)}], strides [{Numbers(tensor.stride())}]");

    private static string Numbers(long[] values) => string.Join(", ", values.Select(value => $"{value}"));
}
