namespace NablaGen.Jobs.Batch;

/// <summary>What is wrong with rows: the first in full, of the others where they are.</summary>
internal sealed class RowErrors
{
    private const int Shown = 5;
    private readonly List<string> _messages = [];

    /// <summary>Does something with one row and keeps its error.</summary>
    public void Try(Action work)
    {
        try
        {
            work();
        }
        catch (InvalidRequestException error)
        {
            _messages.Add(error.Message);
        }
    }

    /// <summary>Throws one error for all.</summary>
    /// <exception cref="InvalidRequestException">There was one.</exception>
    public void Throw()
    {
        if (_messages.Count == 0)
        {
            return;
        }

        // "prompts.csv:3: …" begins each.
        var others = _messages.Skip(1).Select(message => message.Split(": ")[0]).Distinct().ToList();
        var more = others.Count > Shown ? $" and {others.Count - Shown} more" : "";
        var tail = others.Count == 0 ? "" : $" (also wrong: {string.Join(", ", others.Take(Shown))}{more})";
        throw new InvalidRequestException(_messages[0] + tail);
    }
}
