namespace NablaGen.Cli.Output;

/// <summary>Something that each group of GPUs has, where several make a batch's rows at once; one otherwise.</summary>
internal sealed class Lanes<T>
    where T : new()
{
    private readonly SortedDictionary<int, T> _all = [];
    private int _at = 1;

    /// <summary>The one in turn.</summary>
    public T Now => _all.TryGetValue(_at, out var found) ? found : _all[_at] = new T();

    /// <summary>All that there are.</summary>
    public IEnumerable<T> All => _all.Values;

    /// <summary>Gives another one its turn.</summary>
    public void Select(int group) => _at = group;
}
