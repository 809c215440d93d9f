using System.Globalization;

namespace NablaGen.Distributed;

/// <summary>How a video is split over ranks: over the passes with and without the prompt, and each pass over heads.</summary>
/// <param name="Guidance">2 where ranks of their own make the passes without the prompt; otherwise 1.</param>
/// <param name="Heads">Ranks that make a pass together.</param>
public readonly record struct RankSplit(int Guidance, int Heads)
{
    /// <summary>The split over a number of ranks. An odd number makes both passes together.</summary>
    /// <param name="ranks">How many there are.</param>
    /// <param name="guidance">Scale of guidance.</param>
    /// <param name="guidanceHigh">That of the high-noise expert; null for the same.</param>
    /// <param name="isGuided">Whether there is a negative prompt.</param>
    public static RankSplit Of(int ranks, double guidance, double? guidanceHigh, bool isGuided) =>
        // Of two experts one may be unguided: half of the ranks would wait for its steps.
        isGuided && guidance != 1 && guidanceHigh is not 1 && ranks % 2 == 0 ? new RankSplit(2, ranks / 2) : new RankSplit(1, ranks);

    /// <summary>Sees that a model can be split like this.</summary>
    /// <param name="heads">Its attention heads.</param>
    /// <param name="lowRank">Rank of its low-rank branch; 0 for none.</param>
    /// <exception cref="InvalidRequestException">It cannot; the line says why.</exception>
    public void Check(int heads, int lowRank)
    {
        if (Heads > heads)
        {
            throw new InvalidRequestException(
                $"--gpus: a pass of this model can be split over {heads} GPUs at most, one for each attention head, and would be over {Heads}");
        }

        if (lowRank > 0 && Heads > 1)
        {
            throw new InvalidRequestException("--gpus: the low-rank branch of this model's self-attention sums over all tokens and cannot be split: make this video on one GPU");
        }
    }

    /// <summary>As in "guidance 2 × heads 4".</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"guidance {Guidance} × heads {Heads}");
}
