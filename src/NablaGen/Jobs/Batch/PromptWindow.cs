using NablaGen.Generation;

namespace NablaGen.Jobs.Batch;

/// <summary>
/// Encodes the prompts of a batch some rows ahead: the text encoder is read once for a window of rows, and the encodings of ten thousand are
/// never in memory at once.
/// </summary>
/// <param name="pipelines">The rows' models.</param>
/// <param name="progress">Is told how it goes.</param>
/// <param name="size">Rows in a window.</param>
internal sealed class PromptWindow(RowPipelines pipelines, IGenerationProgress progress, int size) : IDisposable
{
    private readonly Dictionary<int, PreparedRequest> _prepared = [];

    /// <summary>A row's request with its encoding, the caller's from now on.</summary>
    /// <param name="row">The row.</param>
    /// <param name="ahead">The rows that come after it and have to be encoded; looked through only where a new window begins.</param>
    /// <param name="cancellation">Stops the encoding.</param>
    public PreparedRequest Take(BatchRow row, IEnumerable<BatchRow> ahead, CancellationToken cancellation)
    {
        if (!_prepared.ContainsKey(row.Number))
        {
            // Rows that other processes have made would stay.
            Dispose();
            // Rows of another model end the window: its text encoder may be another.
            BatchRow[] window = [row, .. ahead.TakeWhile(other => other.Model == row.Model).Take(size - 1)];
            var encoded = pipelines.Use(row).PrepareChecked([.. window.Select(one => one.Request)], progress, cancellation);
            foreach (var (one, request) in window.Zip(encoded))
            {
                _prepared.Add(one.Number, request);
            }
        }

        _prepared.Remove(row.Number, out var prepared);
        return prepared!;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var prepared in _prepared.Values)
        {
            prepared.Dispose();
        }

        _prepared.Clear();
    }
}
