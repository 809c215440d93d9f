using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace NablaGen.Tensors;

/// <summary>Raw pointers to tensors' elements, for our own kernels and for reading weights into place.</summary>
/// <remarks>
/// TorchSharp's own ways fall short: <c>data_ptr()</c> ignores the storage offset, <c>storage&lt;float&gt;()</c> of a bfloat16 tensor is
/// a converted copy, and <c>bytes</c> is a span, so at most 2 GiB.
/// </remarks>
internal static unsafe partial class TensorMemory
{
    /// <summary>The first element of a contiguous tensor on any device. Keep the tensor alive while the pointer is used.</summary>
    public static void* Pointer(Tensor tensor)
    {
        if (!tensor.is_contiguous())
        {
            throw new ArgumentException($"a tensor of shape [{string.Join(", ", tensor.shape.Select(side => $"{side}"))}] is not contiguous", nameof(tensor));
        }

        return (void*)THSTensor_data(tensor.Handle);
    }

    /// <summary>The address of the first element, whatever the strides. Keep the tensor alive while it is used.</summary>
    public static nint Address(Tensor tensor) => THSTensor_data(tensor.Handle);

    /// <summary>The elements of a contiguous float32 tensor on the CPU.</summary>
    public static float* Floats(Tensor tensor)
    {
        if (tensor.dtype != ScalarType.Float32 || tensor.device_type != TorchSharp.DeviceType.CPU)
        {
            throw new ArgumentException($"expected a float32 tensor on the CPU, found {tensor.dtype} on {tensor.device}", nameof(tensor));
        }

        return (float*)Pointer(tensor);
    }

    /// <summary>A use of memory: <paramref name="count"/> bytes at <paramref name="start"/>.</summary>
    public delegate void User(byte* start, long count);

    /// <summary>Hands the memory of a contiguous CPU tensor to <paramref name="user"/>, who may use it until it returns.</summary>
    public static void Use(Tensor tensor, User user)
    {
        var count = tensor.numel() * tensor.element_size();
        if (count > 0)
        {
            user((byte*)Pointer(tensor), count);
            GC.KeepAlive(tensor);
        }
    }

    [LibraryImport("LibTorchSharp")]
    private static partial nint THSTensor_data(nint handle);
}
