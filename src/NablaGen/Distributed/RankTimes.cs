namespace NablaGen.Distributed;

/// <summary>How long the ranks of a job wait for each other: with all of it, a rank that is lost ends the others within 30 seconds.</summary>
public sealed record RankTimes
{
    /// <summary>From one sign of life to the next.</summary>
    public TimeSpan Beat { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Without a sign of life for so long, a process is lost: stopped, or its machine is.</summary>
    public TimeSpan Silence { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>A rank that lives but has not come to an exchange for so long, where others wait, hangs.</summary>
    public TimeSpan Stall { get; init; } = TimeSpan.FromSeconds(25);

    /// <summary>Until all ranks have started.</summary>
    public TimeSpan Start { get; init; } = TimeSpan.FromSeconds(120);
}
