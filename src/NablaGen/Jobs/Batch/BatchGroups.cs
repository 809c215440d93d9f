using System.Collections.Concurrent;
using System.Globalization;

namespace NablaGen.Jobs.Batch;

/// <summary>
/// A batch on several groups of GPUs: a process leads each (<see cref="GroupProcess"/>), runs the same batch on the same folder, and tells how its rows go.
/// One that fails for no row's fault ends the others.
/// </summary>
/// <param name="groups">How many groups there are.</param>
/// <param name="size">GPUs of each.</param>
/// <param name="prompts">The prompt file, as it was read.</param>
/// <param name="failFast">Whether a row that fails ends all.</param>
/// <param name="progress">Is told how it goes.</param>
public sealed class BatchGroups(int groups, int size, PromptSource prompts, bool failFast, IBatchProgress progress) : IBatchRun
{
    // A terminal's Ctrl-C ends the groups too, and that they have ended may be here before the cancellation.
    private static readonly TimeSpan InterruptGrace = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(100);

    // They finish a layer first.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    private readonly SteadyBatch _progress = new(progress);
    private GroupMerge? _merge;

    /// <summary>Without a sign of life for so long, a group's process is stopped or its machine is.</summary>
    internal TimeSpan Silence { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Starts the process of a group; gives each of its lines, and null once there are no more.</summary>
    internal Func<BatchGroup, int, Action<string?>, GroupProcess> Start { get; init; } = GroupProcess.Start;

    /// <inheritdoc/>
    public BatchSummary Summary => _merge?.Summary ?? new BatchSummary(0, 0, 0, 0);

    /// <inheritdoc/>
    public Exception? ReportFailure => _progress.Failure;

    /// <inheritdoc/>
    public BatchSummary Run(IReadOnlyList<BatchRow> rows, CancellationToken cancellation = default)
    {
        var merge = _merge = new GroupMerge(rows, groups, _progress);
        var lines = new ConcurrentQueue<(int Group, string? Line)>();
        using var arrived = new SemaphoreSlim(0);
        var processes = new List<GroupProcess>();
        string? failure = null;
        try
        {
            for (var index = 1; index <= groups; index++)
            {
                var group = new BatchGroup(index, groups);
                processes.Add(Start(group, size, line =>
                {
                    lines.Enqueue((group.Index, line));
                    arrived.Release();
                }));
                processes[^1].Begin(prompts);
            }

            var (open, isGoing, end) = (groups, false, long.MaxValue);
            var (seen, looked) = (Enumerable.Repeat(Environment.TickCount64, groups).ToArray(), Environment.TickCount64);
            void Stop()
            {
                end = Math.Min(end, Environment.TickCount64 + (long)Patience.TotalMilliseconds);
                processes.ForEach(process => process.Stop());
            }

            while (open > 0 && Environment.TickCount64 < end)
            {
                if (cancellation.IsCancellationRequested || (failFast && merge.HasFailed))
                {
                    Stop();
                }

                // Where this process was stopped for a while, by Ctrl-Z or a lid, the groups were, too.
                var now = Environment.TickCount64;
                if (now - looked > Silence.TotalMilliseconds / 2)
                {
                    Array.Fill(seen, now);
                }

                looked = now;
                if (!arrived.Wait(Tick, CancellationToken.None) || !lines.TryDequeue(out var next))
                {
                    if (end == long.MaxValue && Array.FindIndex(seen, last => now - last > Silence.TotalMilliseconds) is >= 0 and var silent)
                    {
                        failure = Named(silent + 1, $"{processes[silent].Name} has given no sign of life for {Silence.TotalSeconds.ToString("0", CultureInfo.InvariantCulture)} s");
                        processes[silent].Kill();
                        Stop();
                    }

                    continue;
                }

                seen[next.Group - 1] = now;
                if (next.Line is null)
                {
                    open--;
                    seen[next.Group - 1] = long.MaxValue / 2;
                    // Where all are told to stop, how each ends says nothing.
                    if (end == long.MaxValue && processes[next.Group - 1].Failure() is { } line && !cancellation.WaitHandle.WaitOne(InterruptGrace))
                    {
                        failure = merge.HasStarted ? Named(next.Group, line) : line;
                        Stop();
                    }
                }
                else if (GroupEvent.Parse(next.Line) is { } told)
                {
                    merge.Take(next.Group, told);
                }

                if (merge.HasStarted && !isGoing)
                {
                    isGoing = true;
                    processes.ForEach(process => process.Go());
                }
            }
        }
        finally
        {
            processes.ForEach(process => process.Dispose());
        }

        cancellation.ThrowIfCancellationRequested();
        if (failure is not null)
        {
            throw new NablaGenException(failure);
        }

        merge.Finish();
        return Summary;
    }

    private string Named(int group, string line) => string.Create(CultureInfo.InvariantCulture, $"group {group} of {groups}: {line}");
}
