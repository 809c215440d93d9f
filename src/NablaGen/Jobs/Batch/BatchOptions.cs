namespace NablaGen.Jobs.Batch;

/// <summary>How a batch is run.</summary>
public sealed record BatchOptions
{
    /// <summary>Which rows this process makes.</summary>
    public Shard Shard { get; init; } = Shard.Whole;

    /// <summary>Makes rows again that failed in an earlier run.</summary>
    public bool RetryFailed { get; init; }

    /// <summary>Stops at the first row that fails.</summary>
    public bool FailFast { get; init; }

    /// <summary>Reads finished videos again and compares their hash, not only their size.</summary>
    public bool Verify { get; init; }

    /// <summary>Removes a row's latents once its video is there.</summary>
    public bool DiscardLatents { get; init; }

    /// <summary>Which group of the machine's GPUs this process has; the others take the same rows in another order.</summary>
    public BatchGroup Group { get; init; } = BatchGroup.Whole;

    /// <summary>Makes each row with other ranks; null for this process alone. Stays the caller's.</summary>
    public RowRanks? Ranks { get; init; }
}
