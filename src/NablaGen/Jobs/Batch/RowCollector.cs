namespace NablaGen.Jobs.Batch;

/// <summary>Collects rows past the first wrong one, so that one message can tell of all that are wrong.</summary>
internal sealed class RowCollector
{
    private readonly List<PromptRow> _rows = [];
    private readonly RowErrors _errors = new();

    /// <summary>Takes a row; null is none.</summary>
    public void Add(Func<PromptRow?> read) => _errors.Try(() =>
    {
        if (read() is { } row)
        {
            _rows.Add(row);
        }
    });

    /// <summary>The rows.</summary>
    /// <exception cref="InvalidRequestException">At least one was wrong.</exception>
    public IReadOnlyList<PromptRow> Finish()
    {
        _errors.Throw();
        return _rows;
    }
}
