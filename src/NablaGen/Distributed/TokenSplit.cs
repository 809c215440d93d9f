using NablaGen.Attention;

namespace NablaGen.Distributed;

/// <summary>A video's tokens over ranks: each has a run of whole blocks, of about as many tokens.</summary>
public sealed class TokenSplit
{
    private readonly int[] _starts;

    /// <summary>The split of a layout.</summary>
    /// <param name="whole">The order and the blocks of all tokens.</param>
    /// <param name="ranks">Over how many.</param>
    /// <param name="byFrames">Whether each has whole latent frames, as a model needs whose frames have times of their own.</param>
    /// <exception cref="NablaGenException">There are fewer blocks, or frames, than ranks.</exception>
    public TokenSplit(BlockLayout whole, int ranks, bool byFrames = false)
    {
        Whole = whole;
        var unit = byFrames ? whole.BlockRows * whole.BlockColumns : 1;
        var units = whole.Blocks / unit;
        if (units < ranks)
        {
            throw new NablaGenException(
                $"a video of {units} {(byFrames ? "latent frames" : "blocks of tokens")} cannot be split over {ranks} GPUs: use fewer --gpus or a larger video");
        }

        var borders = new int[ranks + 1];
        for (var rank = 1; rank < ranks; rank++)
        {
            // The border nearest to an even share, that leaves something to those before and after.
            var wanted = (double)whole.Tokens * rank / ranks;
            var nearest = borders[rank - 1] + 1;
            while (nearest < units - (ranks - rank) && Math.Abs(whole.Starts[(nearest + 1) * unit] - wanted) <= Math.Abs(whole.Starts[nearest * unit] - wanted))
            {
                nearest++;
            }

            borders[rank] = nearest;
        }

        borders[ranks] = units;
        Parts = [.. Enumerable.Range(0, ranks).Select(rank => whole.Part(borders[rank] * unit, (borders[rank + 1] - borders[rank]) * unit))];
        _starts = [.. borders.Select(border => border == units ? whole.Tokens : whole.Starts[border * unit])];
    }

    /// <summary>All tokens.</summary>
    public BlockLayout Whole { get; }

    /// <summary>Each rank's tokens.</summary>
    public IReadOnlyList<BlockLayout> Parts { get; }

    /// <summary>A rank's first token.</summary>
    public int Start(int rank) => _starts[rank];

    /// <summary>How many a rank has.</summary>
    public int Count(int rank) => _starts[rank + 1] - _starts[rank];
}
