using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Attention;

/// <summary>A mask's bits in memory of their own: what a <see cref="DeviceBlockMask"/> held at one time, for later. Contract of the way back: expand_mask.cu.</summary>
public sealed class StoredBlockMask : IDisposable
{
    private readonly CudaDevice _device;
    private readonly CudaBuffer _bits;

    /// <summary>Room for masks of one size.</summary>
    /// <param name="device">Where.</param>
    /// <param name="heads">Batch times heads, or 1 for a mask that all share.</param>
    /// <param name="blocks">Blocks of tokens.</param>
    public StoredBlockMask(CudaDevice device, int heads, int blocks)
    {
        _device = device;
        Bits = new MaskBits(0, heads, blocks);
        _bits = new CudaBuffer(device, Bits.Bytes);
        Bits = Bits with { Pointer = _bits.Pointer };
    }

    /// <summary>The bits.</summary>
    public MaskBits Bits { get; }

    /// <summary>Whether a mask of these sizes has room here.</summary>
    public bool Fits(int heads, int blocks) => (Bits.Heads, Bits.Blocks) == (heads, blocks);

    /// <summary>Puts a copy of a mask on the stream, over what is stored.</summary>
    /// <param name="mask">The mask.</param>
    /// <param name="stream">The stream.</param>
    public void Store(DeviceBlockMask mask, nint stream = 0)
    {
        Require(mask);
        mask.CopyBits(Bits.Pointer, stream);
    }

    /// <summary>Puts the stored mask into a mask of the same sizes on the stream: bits, counts and, where it has some, lists.</summary>
    /// <param name="mask">Gets the result.</param>
    /// <param name="stream">The stream.</param>
    public unsafe void Load(DeviceBlockMask mask, nint stream = 0)
    {
        Require(mask);
        nint from = Bits.Pointer, bits = mask.Bits, lists = mask.Lists, counts = mask.Counts;
        var blocks = mask.Blocks;
        const int warps = LaunchConstants.ExpandWarps;
        _device.Kernel("expand_mask").Launch(
            ((blocks + warps - 1) / warps, mask.Heads, 1), 32 * warps, 0, stream,
            [(nint)(&from), (nint)(&bits), (nint)(&lists), (nint)(&counts), (nint)(&blocks)]);
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose() => _bits.Dispose();

    private void Require(DeviceBlockMask mask)
    {
        if (!Fits(mask.Heads, mask.Blocks) || mask.Device != _device)
        {
            throw new ArgumentException($"A mask of {mask.Heads} heads and {mask.Blocks} blocks on device {mask.Device.Ordinal}; "
                + $"there is room for {Bits.Heads} heads and {Bits.Blocks} blocks on device {_device.Ordinal}.");
        }
    }
}
