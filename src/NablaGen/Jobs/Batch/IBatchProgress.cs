using NablaGen.Generation;

namespace NablaGen.Jobs.Batch;

/// <summary>Is told how a batch goes; the stages in between are of the prompts' encoding, then of the row that began last.</summary>
public interface IBatchProgress : IGenerationProgress
{
    /// <summary>What there is to do is known.</summary>
    /// <param name="pending">The rows to make.</param>
    /// <param name="soFar">The others.</param>
    void OnStart(IReadOnlyList<BatchRow> pending, BatchSummary soFar);

    /// <summary>What comes from now on, until the next such call, is of one of several groups of GPUs that make rows at once.</summary>
    /// <param name="group">Which, from 1.</param>
    /// <param name="groups">How many there are.</param>
    void OnGroup(int group, int groups)
    {
    }

    /// <summary>A row begins.</summary>
    void OnRowStart(BatchRow row);

    /// <summary>A row's video is there.</summary>
    /// <param name="row">The row.</param>
    /// <param name="entry">What the manifest says of it.</param>
    /// <param name="soFar">With this row.</param>
    void OnRowDone(BatchRow row, ManifestEntry entry, BatchSummary soFar);

    /// <summary>The whole of what a row fails with, for a log; comes before <see cref="OnRowFailed"/>.</summary>
    void OnRowError(BatchRow row, Exception error)
    {
    }

    /// <summary>A row failed.</summary>
    /// <inheritdoc cref="OnRowDone"/>
    void OnRowFailed(BatchRow row, ManifestEntry entry, BatchSummary soFar);

    /// <summary>A row is left out: an earlier run or another process has made it, or failed at it.</summary>
    /// <inheritdoc cref="OnRowDone"/>
    void OnRowSkipped(BatchRow row, ManifestEntry entry, BatchSummary soFar);

    /// <summary>Nothing is left but rows that other processes are making.</summary>
    /// <param name="rows">How many.</param>
    void OnWait(int rows);
}
