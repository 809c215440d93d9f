namespace NablaGen.Training.Runs;

/// <summary>How many clips a pool holds and how they are replaced.</summary>
/// <param name="Clips">Clips in all; a multiple of <paramref name="Group"/>.</param>
/// <param name="Group">Clips that are rendered and encoded at once.</param>
/// <param name="Every">Steps from one replacement to the next.</param>
public sealed record PoolSize(int Clips, int Group, int Every)
{
    /// <summary>Groups in the pool.</summary>
    public int Groups => Clips / Group;
}
