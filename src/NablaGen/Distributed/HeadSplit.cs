namespace NablaGen.Distributed;

/// <summary>Attention heads over ranks: each has a run of them, of which some may be longer by one.</summary>
/// <param name="Heads">All heads.</param>
/// <param name="Ranks">Over how many; at most as many as there are heads.</param>
public sealed record HeadSplit(int Heads, int Ranks)
{
    /// <summary>A rank's first head.</summary>
    public int Start(int rank) => (int)((long)Heads * rank / Ranks);

    /// <summary>How many a rank has.</summary>
    public int Count(int rank) => Start(rank + 1) - Start(rank);
}
