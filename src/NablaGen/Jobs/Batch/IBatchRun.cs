namespace NablaGen.Jobs.Batch;

/// <summary>A run of a batch, by this process or by several that it starts.</summary>
public interface IBatchRun
{
    /// <summary>How the rows stand, also after an exception.</summary>
    BatchSummary Summary { get; }

    /// <summary>Why progress is not reported any more; null where it is.</summary>
    Exception? ReportFailure { get; }

    /// <summary>Runs the batch.</summary>
    /// <param name="rows">The whole batch's; those of other shards are left to them.</param>
    /// <param name="cancellation">Stops the work.</param>
    /// <exception cref="NablaGenException">Something that is no row's fault.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    BatchSummary Run(IReadOnlyList<BatchRow> rows, CancellationToken cancellation = default);
}
