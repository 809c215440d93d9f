using NablaGen.Cuda.Attention;

namespace NablaGen.Cuda.Benchmarks;

/// <summary>One self-attention over full blocks of 1 × 8 × 8 tokens.</summary>
/// <param name="Name">What the tables call it.</param>
/// <param name="Heads">Heads.</param>
/// <param name="HeadSize">64 or 128.</param>
/// <param name="Frames">Latent frames.</param>
/// <param name="BlockRows">Height of a frame in blocks.</param>
/// <param name="BlockColumns">Width of a frame in blocks.</param>
/// <param name="Wide">Width of the feed-forward.</param>
public readonly record struct BenchShape(string Name, int Heads, int HeadSize, int Frames, int BlockRows, int BlockColumns, int Wide)
{
    /// <summary>Wan2.1 14B at 21 × 80 × 160 latents: 40 heads, 1,050 blocks, 67,200 tokens.</summary>
    public static BenchShape Wan14B { get; } = new("14B", 40, 128, 21, 5, 10, 13_824);

    /// <summary>Wan2.1 1.3B at 21 × 48 × 96 latents: 12 heads, 378 blocks, 24,192 tokens.</summary>
    public static BenchShape Wan1B { get; } = new("1.3B", 12, 128, 21, 3, 6, 8_960);

    /// <summary>Blocks.</summary>
    public int Blocks => Frames * BlockRows * BlockColumns;

    /// <summary>Tokens.</summary>
    public int Tokens => Blocks * BlockOffsets.BlockSize;

    /// <summary>Width of the model: all heads.</summary>
    public int Columns => Heads * HeadSize;

    /// <summary>Elements of Q.</summary>
    public int Elements => checked(Tokens * Columns);

    /// <summary>Where a block lies: frame, row, column.</summary>
    internal (int T, int H, int W) Place(int block) =>
        (block / (BlockRows * BlockColumns), block / BlockColumns % BlockRows, block % BlockColumns);
}
