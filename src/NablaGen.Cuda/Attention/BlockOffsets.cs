using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Attention;

/// <summary>Where each block of tokens starts: block i is the tokens from offsets[i] up to offsets[i + 1], 1 to 64 of them.</summary>
public sealed class BlockOffsets : IDisposable
{
    /// <summary>Tokens in a full block.</summary>
    public const int BlockSize = 64;

    /// <summary>The most blocks that the kernels can number.</summary>
    public const int MaxBlocks = 65_535;

    private readonly CudaBuffer _buffer;

    /// <summary>Copies the block sizes' running sums to the device.</summary>
    /// <param name="device">Where.</param>
    /// <param name="sizes">Tokens of each block, 1 to 64, in order.</param>
    public BlockOffsets(CudaDevice device, ReadOnlySpan<int> sizes)
    {
        if (sizes.Length is < 1 or > MaxBlocks)
        {
            throw new ArgumentException($"{sizes.Length} blocks; the kernels take 1 to {MaxBlocks}.");
        }

        var offsets = new int[sizes.Length + 1];
        for (var i = 0; i < sizes.Length; i++)
        {
            if (sizes[i] is < 1 or > BlockSize)
            {
                throw new ArgumentException($"Block {i} has {sizes[i]} tokens; a block has 1 to {BlockSize}.");
            }

            offsets[i + 1] = checked(offsets[i] + sizes[i]);
        }

        Offsets = offsets;
        _buffer = CudaBuffer.From<int>(device, offsets);
    }

    /// <summary>Full blocks, and the rest as the last: for kernels to which blocks are but pieces of work.</summary>
    /// <param name="device">Where.</param>
    /// <param name="tokens">Number of tokens.</param>
    public static BlockOffsets Even(CudaDevice device, int tokens) => new(
        device, [.. Enumerable.Range(0, (tokens + BlockSize - 1) / BlockSize).Select(i => Math.Min(BlockSize, tokens - i * BlockSize))]);

    /// <summary>First token of each block, and the number of tokens at the end.</summary>
    public IReadOnlyList<int> Offsets { get; }

    /// <summary>Number of blocks.</summary>
    public int Blocks => Offsets.Count - 1;

    /// <summary>Number of tokens.</summary>
    public int Tokens => Offsets[^1];

    /// <summary>Device address of int32 [blocks + 1].</summary>
    internal nint Pointer => _buffer.Pointer;

    /// <summary>Frees the device's copy.</summary>
    public void Dispose() => _buffer.Dispose();
}
