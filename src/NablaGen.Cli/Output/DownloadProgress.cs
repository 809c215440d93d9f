using System.Diagnostics;
using NablaGen.Files;
using NablaGen.Generation;
using NablaGen.Hub;
using Spectre.Console;

namespace NablaGen.Cli.Output;

/// <summary>Shows how a download goes: a bar on a terminal, a line now and then elsewhere; both with rate and time left.</summary>
internal sealed class DownloadProgress : IHubProgress
{
    private static readonly TimeSpan BarEvery = TimeSpan.FromSeconds(0.2);
    private static readonly TimeSpan LineEvery = TimeSpan.FromSeconds(10);

    private readonly Lock _lock = new();
    private readonly Stopwatch _watch = Stopwatch.StartNew();
    private readonly DownloadRate _rate = new();
    private readonly Action<string> _write;
    private readonly ProgressTask? _task;
    private readonly TimeSpan _every;
    private TimeSpan _shown;
    private long _total;
    private long _done;
    private long _come;
    private string? _note;

    private DownloadProgress(Action<string> write, ProgressTask? task) => (_write, _task, _every) = (write, task, task is null ? LineEvery : BarEvery);

    /// <summary>Runs the work with a report.</summary>
    public static Task RunAsync(Func<IHubProgress, Task> work) => !ProgressReport.IsInteractive
        ? work(new DownloadProgress(Console.WriteLine, null))
        : AnsiConsole.Progress().Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn { Width = 24 }).StartAsync(context =>
            work(new DownloadProgress(Wrapped.WriteAboveBars, context.AddTask("downloading", maxValue: 1))));

    /// <summary>Runs the work with a report in plain lines.</summary>
    internal static IHubProgress Plain(Action<string> write) => new DownloadProgress(write, null);

    public void OnStart(long total, long done)
    {
        lock (_lock)
        {
            (_total, _done, _come) = (total, done, 0);
            _rate.Add(_watch.Elapsed, 0);
            _shown = _watch.Elapsed;
            if (done > 0)
            {
                Say($"going on: {OutputSpace.Text(done)} of {OutputSpace.Text(total)} are here");
            }
        }
    }

    public void OnBytes(long bytes)
    {
        lock (_lock)
        {
            _done += bytes;
            _come += Math.Max(0, bytes);
            if (_watch.Elapsed - _shown >= _every)
            {
                Show();
            }
        }
    }

    public void OnCheck(HubFile file)
    {
        lock (_lock)
        {
            if (_task is not null)
            {
                _task.Description = Markup.Escape($"checking {Path.GetFileName(file.Local)}");
            }
        }
    }

    public void OnFile(HubFile file)
    {
        lock (_lock)
        {
            Say($"whole and right: {file.Local} ({OutputSpace.Text(file.Size)}, {file.Hash})");
        }
    }

    public void OnNote(string note)
    {
        lock (_lock)
        {
            // Several connections meet the same.
            if (note != _note)
            {
                _note = note;
                Say($"note: {note}");
            }
        }
    }

    private void Show()
    {
        _shown = _watch.Elapsed;
        _rate.Add(_shown, _come);
        var rate = _rate.PerSecond;
        var speed = rate is { } bytes ? $", {OutputSpace.Text((long)bytes)} a second, {ProgressReport.Time(TimeSpan.FromSeconds((_total - _done) / bytes))} left" : ", waiting";
        var text = $"{OutputSpace.Text(_done)} of {OutputSpace.Text(_total)} ({100.0 * _done / Math.Max(1, _total):0}%){speed}";
        if (_task is null)
        {
            _write($"downloading: {text}");
            return;
        }

        _task.Description = Markup.Escape(text);
        _task.MaxValue = Math.Max(1, _total);
        _task.Value = _done;
    }

    private void Say(string text)
    {
        var line = Line.Of(text);
        _write(line);
        LongJob.Current?.Log?.Write("download", line);
    }
}
