using NablaGen.Attention;
using NablaGen.Models;

namespace NablaGen.Jobs.Masks;

/// <summary>Which pixels of which frames a block of tokens stands for.</summary>
/// <param name="layout">The blocks.</param>
/// <param name="transformer">The patches: latent pixels of a token.</param>
/// <param name="latents">Pixels and frames of a latent pixel.</param>
public sealed class BlockGeometry(BlockLayout layout, TransformerTraits transformer, LatentTraits latents)
{
    /// <summary>Columns of pixels of the video.</summary>
    public int Width => layout.Width * TokenWidth;

    /// <summary>Rows of pixels of the video.</summary>
    public int Height => layout.Height * TokenHeight;

    /// <summary>The columns of pixels of each column of blocks: the first, and how many.</summary>
    public IReadOnlyList<(int From, int Count)> Columns => Spans(layout.Width, layout.BlockColumns, TokenWidth);

    /// <summary>The rows of pixels of each row of blocks: the first, and how many.</summary>
    public IReadOnlyList<(int From, int Count)> Rows => Spans(layout.Height, layout.BlockRows, TokenHeight);

    /// <summary>The frames of each row of tokens in time, from 0: the first and the last. The first latent frame is one frame, a later one as many as the VAE's stride.</summary>
    public IReadOnlyList<(int First, int Last)> Frames => [.. Enumerable.Range(0, layout.Time).Select(time =>
    {
        var (first, last) = (time * transformer.Patch.Time, (time + 1) * transformer.Patch.Time - 1);
        return (first == 0 ? 0 : (first - 1) * latents.TemporalStride + 1, last * latents.TemporalStride);
    })];

    private int TokenWidth => transformer.Patch.Width * latents.SpatialStride;

    private int TokenHeight => transformer.Patch.Height * latents.SpatialStride;

    /// <summary>What a block stands for.</summary>
    /// <param name="block">The block, in the order of <see cref="BlockLayout"/>.</param>
    public BlockPlace Of(int block)
    {
        var (time, row, column) = layout.Place(block);
        var (frames, rows, columns) = (Frames[time], Rows[row], Columns[column]);
        return new BlockPlace(frames.First, frames.Last, columns.From, rows.From, columns.Count, rows.Count);
    }

    // Blocks at the far edge may be smaller.
    private static IReadOnlyList<(int From, int Count)> Spans(int tokens, int blocks, int pixels) => [.. Enumerable.Range(0, blocks).Select(block =>
        (block * BlockLayout.TileSide * pixels, (Math.Min(tokens, (block + 1) * BlockLayout.TileSide) - block * BlockLayout.TileSide) * pixels))];
}

/// <summary>A block's frames and pixels, from 0.</summary>
/// <param name="FirstFrame">Its first frame.</param>
/// <param name="LastFrame">Its last frame.</param>
/// <param name="Left">Its first column of pixels.</param>
/// <param name="Top">Its first row of pixels.</param>
/// <param name="Width">Columns of pixels.</param>
/// <param name="Height">Rows of pixels.</param>
public readonly record struct BlockPlace(int FirstFrame, int LastFrame, int Left, int Top, int Width, int Height);
