using static TorchSharp.torch;

namespace NablaGen.Checkpoints;

/// <summary>The memory of a tensor itself, to read a file into it or write it to one without a copy.</summary>
internal static unsafe class TensorMemory
{
    /// <summary>A use of memory: <paramref name="count"/> bytes at <paramref name="start"/>.</summary>
    public delegate void User(byte* start, long count);

    /// <summary>Hands the memory of a contiguous CPU tensor to <paramref name="user"/>, who may use it until it returns.</summary>
    public static void Use(Tensor tensor, User user)
    {
        var count = tensor.numel() * tensor.element_size();
        if (count == 0)
        {
            return;
        }

        // Tensor.bytes is the memory itself, from the tensor's own offset, but refuses 2 GiB and more. So take the bytes of
        // the first element alone. (storage<T>() copies some types; data_ptr() starts at the storage, not at the tensor.)
        using var noGrad = no_grad();
        using var detached = tensor.detach();
        using var flat = detached.view(-1);
        using var first = flat.narrow(0, 0, 1);
        fixed (byte* start = first.bytes)
        {
            user(start, count);
        }

        GC.KeepAlive(tensor);
    }
}
