using NablaGen.Cuda.Device;
using NablaGen.Cuda.Native;

namespace NablaGen.Cuda.Attention;

/// <summary>
/// Which key blocks each query block attends to, in device memory: as bits (for the Hopper kernel's plan) and as ascending lists
/// with counts (for the other kernel). One mask a head, or one for all.
/// </summary>
public sealed class DeviceBlockMask : IDisposable
{
    private readonly CudaBuffer _bits;
    private readonly CudaBuffer _counts;
    private readonly CudaBuffer? _lists;

    /// <summary>Room for a mask; a kernel or <see cref="FromHost"/> fills it.</summary>
    /// <param name="device">Where.</param>
    /// <param name="heads">Batch times heads, or 1 for a mask that all share.</param>
    /// <param name="blocks">Blocks of tokens.</param>
    /// <param name="withLists">
    /// Also room for lists (2 · heads · blocks² bytes). By default only where the attention kernel of this device reads them.
    /// </param>
    public DeviceBlockMask(CudaDevice device, int heads, int blocks, bool? withLists = null)
    {
        if (heads < 1 || blocks is < 1 or > BlockOffsets.MaxBlocks)
        {
            throw new ArgumentException(
                $"A mask of {heads} heads and {blocks} blocks; at least 1 head and 1 to {BlockOffsets.MaxBlocks} blocks.");
        }

        Device = device;
        Heads = heads;
        Blocks = blocks;
        _bits = new CudaBuffer(device, 4L * heads * blocks * Words);
        _counts = new CudaBuffer(device, 4L * heads * blocks);
        _lists = withLists ?? !device.HasHopperKernels ? new CudaBuffer(device, 2L * heads * blocks * blocks) : null;
    }

    /// <summary>Whether it stays what it is, being filled from the host: what is derived from it may be kept.</summary>
    public bool IsConstant { get; private init; }

    /// <summary>The device it lies on.</summary>
    public CudaDevice Device { get; }

    /// <summary>Batch times heads, or 1 for a mask that all share.</summary>
    public int Heads { get; }

    /// <summary>Blocks of tokens.</summary>
    public int Blocks { get; }

    /// <summary>32-bit words a row of bits.</summary>
    public int Words => (Blocks + 31) / 32;

    /// <summary>Device address of uint32 [heads, blocks, words]; bit j % 32 of word j / 32 is key block j.</summary>
    public nint Bits => _bits.Pointer;

    /// <summary>The bits, for a kernel that needs nothing else.</summary>
    public MaskBits AllBits => new(Bits, Heads, Blocks);

    /// <summary>Device address of int32 [heads, blocks]: how many key blocks each row keeps.</summary>
    public nint Counts => _counts.Pointer;

    /// <summary>Device address of uint16 [heads, blocks, blocks], the kept key blocks ascending; 0 if there are none.</summary>
    public nint Lists => _lists?.Pointer ?? 0;

    /// <summary>A mask from the host, bits and lists.</summary>
    /// <param name="device">Where.</param>
    /// <param name="heads">Heads, or 1 for a mask that all share.</param>
    /// <param name="blocks">Blocks.</param>
    /// <param name="keeps">Whether (head, query block, key block) is kept.</param>
    /// <param name="withLists">As for the constructor.</param>
    public static DeviceBlockMask FromHost(CudaDevice device, int heads, int blocks, Func<int, int, int, bool> keeps, bool? withLists = null)
    {
        // Arrays have up to 2^31 elements.
        var words = (blocks + 31) / 32;
        if ((long)heads * blocks * Math.Max(blocks, words) > Array.MaxLength)
        {
            throw new CudaException($"A mask of {heads} heads and {blocks} blocks is too large to be made on the host.");
        }

        var mask = new DeviceBlockMask(device, heads, blocks, withLists) { IsConstant = true };
        var bits = new uint[heads * blocks * words];
        var lists = new ushort[mask.Lists != 0 ? heads * blocks * blocks : 0];
        var counts = new int[heads * blocks];
        for (var row = 0; row < heads * blocks; row++)
        {
            for (var key = 0; key < blocks; key++)
            {
                if (!keeps(row / blocks, row % blocks, key))
                {
                    continue;
                }

                bits[row * words + key / 32] |= 1u << key % 32;
                if (lists.Length > 0)
                {
                    lists[row * blocks + counts[row]] = (ushort)key;
                }

                counts[row]++;
            }
        }

        mask._bits.Write<uint>(bits);
        mask._counts.Write<int>(counts);
        mask._lists?.Write<ushort>(lists);
        return mask;
    }

    /// <summary>Puts a copy of the bits on the stream, for what outlives the mask.</summary>
    /// <param name="destination">Device address of <see cref="MaskBits.Bytes"/> bytes.</param>
    /// <param name="stream">The stream.</param>
    public MaskBits CopyBits(nint destination, nint stream = 0)
    {
        Device.MakeCurrent();
        Driver.Check(Driver.cuMemcpyDtoDAsync_v2(destination, Bits, (nuint)AllBits.Bytes, stream), "cuMemcpyDtoDAsync");
        return AllBits with { Pointer = destination };
    }

    /// <summary>Share of block pairs that are kept. Waits for the device.</summary>
    public double Density() => _counts.ToArray<int>(Heads * Blocks).Sum(count => (long)count) / ((double)Heads * Blocks * Blocks);

    /// <summary>The mask on the host, [head, query block, key block]. Waits for the device.</summary>
    public bool[,,] ToHost()
    {
        var bits = _bits.ToArray<uint>(Heads * Blocks * Words);
        var mask = new bool[Heads, Blocks, Blocks];
        for (var row = 0; row < Heads * Blocks; row++)
        {
            for (var key = 0; key < Blocks; key++)
            {
                mask[row / Blocks, row % Blocks, key] = (bits[row * Words + key / 32] >> key % 32 & 1) != 0;
            }
        }

        return mask;
    }

    /// <summary>The bits of one head on the host, [blocks, words]. Waits for the device.</summary>
    /// <param name="head">The head, below <see cref="Heads"/>.</param>
    public uint[] BitsToHost(int head) => _bits.ToArray<uint>(Blocks * Words, (long)head * Blocks * Words);

    /// <summary>How many key blocks each row of one head keeps, on the host. [blocks] Waits for the device.</summary>
    /// <param name="head">The head, below <see cref="Heads"/>.</param>
    public int[] CountsToHost(int head) => _counts.ToArray<int>(Blocks, (long)head * Blocks);

    /// <summary>The lists on the host, one array a (head, query block); empty if the mask has none. Waits for the device.</summary>
    public ushort[][] ListsToHost()
    {
        if (_lists is null)
        {
            return [];
        }

        var counts = _counts.ToArray<int>(Heads * Blocks);
        var lists = _lists.ToArray<ushort>(Heads * Blocks * Blocks);
        return [.. counts.Select((count, row) => lists.AsSpan(row * Blocks, count).ToArray())];
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        _bits.Dispose();
        _counts.Dispose();
        _lists?.Dispose();
    }

    /// <summary>Fails unless the mask fits an attention of these sizes.</summary>
    internal void Require(int heads, int blocks)
    {
        if ((Heads != heads && Heads != 1) || Blocks != blocks)
        {
            throw new ArgumentException($"The mask is for {Heads} heads × {Blocks} blocks; the attention has {heads} × {blocks}.");
        }
    }
}
