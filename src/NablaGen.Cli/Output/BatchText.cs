using System.Globalization;
using NablaGen.Jobs.Batch;

namespace NablaGen.Cli.Output;

/// <summary>The lines of a batch that are the same on a terminal and on a pipe.</summary>
internal static class BatchText
{
    public static string Start(IReadOnlyList<BatchRow> pending, BatchSummary soFar, Shard shard)
    {
        var of = shard.Count == 1 ? "" : $" of shard {shard}{(shard.Source is null ? "" : $", taken from {shard.Source}")}";
        var failed = soFar.Failed == 0 ? "" : $", {soFar.Failed} failed before (--retry-failed makes them again)";
        return $"{Rows(soFar.Rows)}{of}: {pending.Count} to make, {soFar.Skipped} done before{failed}";
    }

    public static string Done(ManifestEntry entry)
    {
        var how = entry.Density is { } density ? $"density {density:0.000}" : "from its saved latents";
        return $"done in {ProgressReport.Time(TimeSpan.FromSeconds(entry.Seconds))}, {how}";
    }

    public static string Left(BatchEta eta) => eta.Left is { } left ? $"; all rows: {eta.Fraction:0%}, ETA {ProgressReport.Time(left)}" : "";

    public static string Skipped(ManifestEntry entry) => entry.State == RowState.Failed
        ? $"{entry.Name}: failed before: {entry.Error}"
        : $"{entry.Name}: made by another process";

    public static string Group(int group, int groups) => string.Create(CultureInfo.InvariantCulture, $"{group} of {groups}, until another is named");

    public static string Wait(int rows) => $"waiting for {Rows(rows)} that other processes have";

    public static string End(BatchSummary summary, string folder)
    {
        var left = summary.Left == 0 ? "" : $"; {summary.Left} left, which the same command again makes";
        return $"{Rows(summary.Rows)}: {summary.Made} made, {summary.Skipped} skipped, {summary.Failed} failed; in {folder}{left}";
    }

    public static string Rows(int count) => count == 1 ? "1 row" : $"{count} rows";
}
