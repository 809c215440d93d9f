namespace NablaGen.Attention;

/// <summary>
/// The order of a video's tokens in the transformer: frame by frame, tiles of 8 × 8 in row-major order, row-major inside a tile.
/// A tile is a block; edge tiles are smaller, so that any size works and nothing is padded or cropped.
/// </summary>
/// <remarks>Port of local_patching and local_merge, wan/modules/attention.py, which need sides that are multiples of 8.</remarks>
public sealed class BlockLayout
{
    /// <summary>Tokens of a full block.</summary>
    public const int BlockSize = TileSide * TileSide;

    internal const int TileSide = 8;

    private readonly int[] _starts;
    private readonly int[] _lengths;

    private BlockLayout(int time, int height, int width, int[] order, int[] starts, int[] lengths)
    {
        (Time, Height, Width) = (time, height, width);
        Order = order;
        _starts = starts;
        _lengths = lengths;
    }

    /// <summary>Latent frames of the patch grid.</summary>
    public int Time { get; }

    /// <summary>Rows of the patch grid.</summary>
    public int Height { get; }

    /// <summary>Columns of the patch grid.</summary>
    public int Width { get; }

    /// <summary>Whether the tokens stand in plain raster order, cut into runs: see <see cref="Raster"/>.</summary>
    public bool IsRaster { get; private init; }

    /// <summary>Rows of blocks a frame.</summary>
    public int BlockRows => Tiles(Height);

    /// <summary>Columns of blocks a frame.</summary>
    public int BlockColumns => Tiles(Width);

    /// <summary>Number of tokens, L in shapes.</summary>
    public int Tokens => Order.Count;

    /// <summary>Number of blocks.</summary>
    public int Blocks => _starts.Length;

    /// <summary>For each position in this order, the token's index in plain raster order (t, h, w). [L]</summary>
    public IReadOnlyList<int> Order { get; }

    /// <summary>First token of each block. [Blocks]</summary>
    public ReadOnlySpan<int> Starts => _starts;

    /// <summary>Tokens of each block, 1 to 64. [Blocks]</summary>
    public ReadOnlySpan<int> Lengths => _lengths;

    /// <summary>The layout of a patch grid of any size.</summary>
    public static BlockLayout Create(int time, int height, int width)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(time, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        var order = new int[checked(time * height * width)];
        var starts = new int[time * Tiles(height) * Tiles(width)];
        var lengths = new int[starts.Length];
        var token = 0;
        var block = 0;
        for (var t = 0; t < time; t++)
        {
            for (var top = 0; top < height; top += TileSide)
            {
                for (var left = 0; left < width; left += TileSide)
                {
                    starts[block] = token;
                    for (var h = top; h < Math.Min(top + TileSide, height); h++)
                    {
                        for (var w = left; w < Math.Min(left + TileSide, width); w++)
                        {
                            order[token++] = (t * height + h) * width + w;
                        }
                    }

                    lengths[block] = token - starts[block];
                    block++;
                }
            }
        }

        return new BlockLayout(time, height, width, order, starts, lengths);
    }

    /// <summary>
    /// The layout of a patch grid in plain raster order, cut into runs of 64 tokens, the last of them shorter: what sparse + low-rank attention was
    /// trained on. It has no grid of blocks, so that a sliding window has no meaning on it.
    /// </summary>
    /// <remarks>get_block_map, sparse_linear_attention/utils.py of thu-ml/SLA.</remarks>
    public static BlockLayout Raster(int time, int height, int width)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(time, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        var tokens = checked(time * height * width);
        var starts = new int[(tokens + BlockSize - 1) / BlockSize];
        var lengths = new int[starts.Length];
        for (var block = 0; block < starts.Length; block++)
        {
            starts[block] = block * BlockSize;
            lengths[block] = Math.Min(BlockSize, tokens - starts[block]);
        }

        return new BlockLayout(time, height, width, [.. Enumerable.Range(0, tokens)], starts, lengths) { IsRaster = true };
    }

    /// <summary>A run of blocks by itself: its tokens keep their places in the grid, and its first token is number 0.</summary>
    /// <param name="block">The first block.</param>
    /// <param name="count">How many.</param>
    public BlockLayout Part(int block, int count)
    {
        var start = _starts[block];
        var starts = _starts[block..(block + count)];
        var lengths = _lengths[block..(block + count)];
        var order = Order.Skip(start).Take(starts[^1] + lengths[^1] - start).ToArray();
        return new BlockLayout(Time, Height, Width, order, [.. starts.Select(one => one - start)], lengths) { IsRaster = IsRaster };
    }

    /// <summary>The place of a block in the grid of blocks.</summary>
    public (int Time, int Row, int Column) Place(int block)
    {
        var (time, rest) = Math.DivRem(block, BlockRows * BlockColumns);
        var (row, column) = Math.DivRem(rest, BlockColumns);
        return (time, row, column);
    }

    private static int Tiles(int side) => (side + TileSide - 1) / TileSide;
}
