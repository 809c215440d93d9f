using System.Globalization;
using NablaGen.Distributed;

namespace NablaGen.Jobs.Batch;

/// <summary>
/// One of the groups of GPUs that share a machine's batch: a process of its own that makes row after row, each on all of its GPUs. Groups share the rows
/// as any processes on one folder do, by claims; in which order each takes them keeps the groups out of each other's way.
/// </summary>
/// <param name="Index">Which group, from 1.</param>
/// <param name="Count">Of how many.</param>
public sealed record BatchGroup(int Index, int Count)
{
    /// <summary>Tells a process which group it leads, as <c>2/4</c>.</summary>
    public const string Variable = "NABLAGEN_BATCH_GROUP";

    /// <summary>All GPUs.</summary>
    public static BatchGroup Whole { get; } = new(1, 1);

    /// <summary>The group that the environment names; null where there is none.</summary>
    /// <param name="environment">Reads a variable.</param>
    public static BatchGroup? FromEnvironment(Func<string, string?> environment) =>
        environment(Variable) is { Length: > 0 } text && Shard.Parse(text) is var shard ? new BatchGroup(shard.Index, shard.Count) : null;

    /// <summary>The GPUs of this group, as <c>CUDA_VISIBLE_DEVICES</c> names them.</summary>
    /// <param name="visible">Those of all groups; null or empty for all of the machine.</param>
    /// <param name="size">GPUs of a group.</param>
    public string Devices(string? visible, int size) =>
        string.Join(',', Enumerable.Range((Index - 1) * size, size).Select(device => RankLauncher.DeviceOf(visible, device)));

    /// <summary>Rows as this group takes them: its own share in order, then those of the others from the end, where they come to last.</summary>
    /// <param name="pending">The rows to make, the same for all groups.</param>
    public List<BatchRow> Arrange(IReadOnlyList<BatchRow> pending)
    {
        bool IsOwn(int place) => place % Count == Index - 1;

        return
        [
            .. pending.Where((_, place) => IsOwn(place)),
            .. pending.Where((_, place) => !IsOwn(place)).Reverse(),
        ];
    }

    /// <summary><c>2/4</c></summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Index}/{Count}");
}
