namespace NablaGen.Jobs.Batch;

/// <summary>How the rows of a shard stand.</summary>
/// <param name="Rows">All of them.</param>
/// <param name="Made">Made by this run.</param>
/// <param name="Skipped">Done before, or by another process.</param>
/// <param name="Failed">Failed, in this run or before.</param>
public sealed record BatchSummary(int Rows, int Made, int Skipped, int Failed)
{
    /// <summary>Not looked at: the batch was cut off.</summary>
    public int Left => Rows - Made - Skipped - Failed;
}
