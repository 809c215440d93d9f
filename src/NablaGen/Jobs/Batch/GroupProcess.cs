using System.Diagnostics;
using System.Globalization;
using System.Text;
using NablaGen.Distributed;

namespace NablaGen.Jobs.Batch;

/// <summary>
/// The process that leads a group of GPUs: this program once more, with the same arguments. Its standard input brings the prompt file, then the word to go, and
/// ends where it is to stop, also when this process is no more; its standard output tells of its rows.
/// </summary>
internal sealed class GroupProcess : IDisposable
{
    private const string Prefix = "nablagen: ";
    private const int Killed = 128;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly Process _process;
    private readonly object _gate = new();
    private Task _begun = Task.CompletedTask;
    private string _last = "";
    private bool _isStopped;

    private GroupProcess(Process process) => _process = process;

    /// <summary>Starts it.</summary>
    /// <param name="group">Its group.</param>
    /// <param name="size">GPUs of a group.</param>
    /// <param name="line">Takes each line that it tells, and null once it has ended.</param>
    public static GroupProcess Start(BatchGroup group, int size, Action<string?> line)
    {
        var start = RankLauncher.ThisProgram(Environment.GetCommandLineArgs()[1..]);
        start.Environment[BatchGroup.Variable] = $"{group}";
        start.Environment[RankLauncher.Visible] = group.Devices(Environment.GetEnvironmentVariable(RankLauncher.Visible), size);
        return Start(start, line);
    }

    /// <summary>Starts a program as one.</summary>
    internal static GroupProcess Start(ProcessStartInfo start, Action<string?> line)
    {
        (start.StandardInputEncoding, start.StandardOutputEncoding) = (new UTF8Encoding(false), Encoding.UTF8);
        var group = new GroupProcess(Process.Start(start)!);
        group._process.OutputDataReceived += (_, data) => line(data.Data);
        group._process.ErrorDataReceived += (_, data) => group.Hear(data.Data);
        group._process.BeginOutputReadLine();
        group._process.BeginErrorReadLine();
        return group;
    }

    /// <summary>As a line for the user names it.</summary>
    public string Name => string.Create(CultureInfo.InvariantCulture, $"process {_process.Id}");

    /// <summary>Tells it the prompt file, however long it takes to read that.</summary>
    public void Begin(PromptSource prompts) => _begun = Task.Run(() => Tell(Encoding.UTF8.GetString(RowCall.Prompts(prompts))));

    /// <summary>Lets it begin with the rows.</summary>
    public void Go()
    {
        _begun.Wait();
        Tell("go");
    }

    /// <summary>Has it stop after the layer in work.</summary>
    public void Stop()
    {
        lock (_gate)
        {
            if (_isStopped)
            {
                return;
            }

            _isStopped = true;
        }

        // A pipe that nobody reads would hold this up.
        Task.Run(() =>
        {
            try
            {
                _process.StandardInput.Close();
            }
            catch (Exception error) when (error is IOException or InvalidOperationException)
            {
                // It has ended.
            }
        });
    }

    /// <summary>Why it ended before its rows were done; null where they are.</summary>
    public string? Failure()
    {
        if (!_process.WaitForExit(Patience))
        {
            Kill();
        }

        // Once more, so that its last line is here.
        _process.WaitForExit();
        if (_process.ExitCode == 0)
        {
            return null;
        }

        string last;
        lock (_gate)
        {
            last = _last;
        }

        var signal = _process.ExitCode - Killed;
        return signal is > 0 and < 64 && signal != 2 || !last.StartsWith(Prefix, StringComparison.Ordinal)
            ? string.Create(CultureInfo.InvariantCulture, $"{Name} ended: exit code {_process.ExitCode}{(signal > 0 ? $" (signal {signal})" : "")}{(last.Length == 0 ? "" : $", last line: {last}")}")
            : last[Prefix.Length..];
    }

    /// <summary>Ends it, where it has not ended.</summary>
    public void Kill()
    {
        try
        {
            if (!_process.HasExited)
            {
                _process.Kill(entireProcessTree: true);
            }
        }
        catch (Exception error) when (error is InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            // It has ended meanwhile.
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Kill();
        _process.Dispose();
    }

    private void Hear(string? line)
    {
        if (!string.IsNullOrWhiteSpace(line))
        {
            lock (_gate)
            {
                _last = line.Trim();
            }
        }
    }

    private void Tell(string line)
    {
        try
        {
            _process.StandardInput.WriteLine(line);
            _process.StandardInput.Flush();
        }
        catch (Exception error) when (error is IOException or InvalidOperationException)
        {
            // It has ended, or is to stop: how it ends says more.
        }
    }
}
