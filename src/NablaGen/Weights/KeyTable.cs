namespace NablaGen.Weights;

/// <summary>
/// Pairs of names for the same modules. A row holds for a name and all that follows it behind a point; <c>N</c> stands for a number, the same on
/// both sides, in order. Of several rows that fit, the longest counts.
/// </summary>
internal sealed class KeyTable
{
    private readonly Dictionary<string, string> _rows = new(StringComparer.Ordinal);

    /// <summary>A table.</summary>
    /// <param name="rows">Their name and ours.</param>
    public KeyTable(params IEnumerable<(string Theirs, string Ours)> rows)
    {
        foreach (var (theirs, ours) in rows)
        {
            _rows.Add(theirs, ours);
        }
    }

    /// <summary>The table the other way round: from our names to theirs.</summary>
    public KeyTable Inverse => new(_rows.Select(row => (row.Value, row.Key)));

    /// <summary>Our name of a key; null where no row fits.</summary>
    public string? Translate(string key)
    {
        var parts = key.Split('.');
        var pattern = new string[parts.Length];
        for (var i = 0; i < parts.Length; i++)
        {
            var isNumber = parts[i].Length > 0 && parts[i].All(char.IsAsciiDigit);
            pattern[i] = isNumber ? "N" : parts[i];
        }

        // Numbers that a row spells out, such as ffn.2, come before those that it leaves open.
        for (var length = parts.Length; length > 0; length--)
        {
            if (Fit(parts, pattern, length) is { } ours)
            {
                return string.Join('.', [ours, .. parts[length..]]);
            }
        }

        return null;
    }

    private string? Fit(string[] parts, string[] pattern, int length)
    {
        var open = Enumerable.Range(0, length).Where(i => pattern[i] == "N").ToArray();
        if (open.Length > 4)
        {
            return null;
        }

        for (var choice = 0; choice < 1 << open.Length; choice++)
        {
            var name = parts[..length];
            var numbers = new Queue<string>();
            for (var i = 0; i < open.Length; i++)
            {
                // The lowest choice leaves the first numbers open: those of layers.
                if ((choice >> i & 1) == 0)
                {
                    numbers.Enqueue(parts[open[i]]);
                    name[open[i]] = "N";
                }
            }

            if (_rows.TryGetValue(string.Join('.', name), out var ours))
            {
                return string.Join('.', ours.Split('.').Select(part => part == "N" ? numbers.Dequeue() : part));
            }
        }

        return null;
    }
}
