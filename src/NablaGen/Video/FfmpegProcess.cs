using System.ComponentModel;
using System.Diagnostics;
using System.Text;

namespace NablaGen.Video;

/// <summary>
/// A running ffmpeg or ffprobe. All of them are started here: without a shell, ended by cancellation, by <see cref="Dispose"/> and by
/// time limits, with what they say on their error stream kept.
/// </summary>
/// <remarks>
/// Not through FFMpegCore's own runner: it has no time limits, its pipes are sockets in the temporary folder (which a killed process
/// leaves behind, and another mount of /tmp hides from ffmpeg), and it closes an output pipe before a slow reader has read it all.
/// </remarks>
internal sealed class FfmpegProcess : IDisposable
{
    // Limits are counted in slices that this process has seen pass: one that is suspended itself must not blame ffmpeg for it.
    private static readonly TimeSpan Slice = TimeSpan.FromMilliseconds(100);

    // How long a killed process may take to go. One that waits for a dead network drive never does, and is left.
    private static readonly TimeSpan KillGrace = TimeSpan.FromSeconds(2);

    private const int MaxAnswerChars = 16 << 20;

    private readonly Process _process;
    private readonly CancellationToken _cancellation;
    private readonly CancellationTokenRegistration _registration;
    private readonly Task _errors;
    private bool _disposed;

    private FfmpegProcess(Process process, CancellationToken cancellation)
    {
        (_process, _cancellation) = (process, cancellation);
        _errors = Task.Run(ReadErrorsAsync, CancellationToken.None);
        _registration = cancellation.Register(Kill);
    }

    /// <summary>What it has said on its error stream so far.</summary>
    public FfmpegErrors Errors { get; } = new();

    /// <summary>Its standard input.</summary>
    public Stream Input => _process.StandardInput.BaseStream;

    /// <summary>Its standard output. Someone must read it, or the program waits for ever.</summary>
    public Stream Output => _process.StandardOutput.BaseStream;

    /// <summary>Reads its standard output and drops it, where it should print nothing: one that does all the same would wait for a reader.</summary>
    public void DropOutput() => _ = Task.Run(async () =>
    {
        try
        {
            await Output.CopyToAsync(Stream.Null).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
        {
            // It has ended.
        }
    });

    /// <summary>Starts a program.</summary>
    /// <param name="program">Full path of ffmpeg or ffprobe.</param>
    /// <param name="arguments">Its arguments, one by one.</param>
    /// <param name="cancellation">Kills it.</param>
    /// <exception cref="NablaGenException">It cannot be run.</exception>
    public static FfmpegProcess Start(string program, IEnumerable<string> arguments, CancellationToken cancellation) =>
        Start(program, new ProcessStartInfo(program, arguments), cancellation);

    /// <summary>Starts a program with a whole command line, quoted as on Windows.</summary>
    /// <inheritdoc cref="Start(string, IEnumerable{string}, CancellationToken)"/>
    public static FfmpegProcess Start(string program, string arguments, CancellationToken cancellation) =>
        Start(program, new ProcessStartInfo(program, arguments), cancellation);

    /// <summary>Runs a program to its end and collects what it prints.</summary>
    /// <param name="program">Full path of ffmpeg or ffprobe.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="limit">How long it may take.</param>
    /// <param name="cancellation">Kills it.</param>
    /// <param name="input">What it gets on its standard input.</param>
    /// <exception cref="NablaGenException">It cannot be run, takes too long or prints without end.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static FfmpegAnswer Ask(
        string program, IReadOnlyList<string> arguments, TimeSpan limit, CancellationToken cancellation, ReadOnlyMemory<byte> input = default)
    {
        cancellation.ThrowIfCancellationRequested();
        using var process = Start(program, arguments, cancellation);
        var output = Task.Run(() => ReadAnswerAsync(process), CancellationToken.None);
        _ = Task.Run(() => FeedAsync(process, input), CancellationToken.None);
        if (!process.Wait(limit))
        {
            throw new NablaGenException($"{program} gave no answer within {limit.TotalSeconds:0} s and was ended: "
                + "see whether it runs by itself and does not wait for a drive or a device");
        }

        // What it started may hold its output open.
        return output.Wait(KillGrace, CancellationToken.None) && output.Result is { } text
            ? new FfmpegAnswer(process.ExitCode, text, process.Reason)
            : throw new NablaGenException($"{program} printed more than {MaxAnswerChars} characters, or does not end");
    }

    /// <summary>Whether it has ended.</summary>
    public bool HasEnded => _process.HasExited;

    /// <summary>Its exit code, once it has ended.</summary>
    public int ExitCode => _process.ExitCode;

    /// <summary>Whether somebody has ended it by a signal; after those that can be caught it tidies up and ends with 255.</summary>
    public bool WasEnded => HasEnded && (IsSignal || (!OperatingSystem.IsWindows() && ExitCode == 255));

    // .NET adds 128 to the signal's number. ffmpeg's own codes are the system's numbers of errors taken from 256: above 160, but for rare ones.
    private bool IsSignal => !OperatingSystem.IsWindows() && ExitCode is > 128 and < 160;

    /// <summary>Why it ended as it did, in one line: what it said itself, else its exit code. After its end.</summary>
    public string Reason => Errors.Line
        ?? (!HasEnded ? "it does not end"
        : IsSignal ? $"it was ended by signal {ExitCode - 128} and said nothing"
        : $"it ended with exit code {ExitCode} and said nothing");

    /// <summary>Waits for its end.</summary>
    /// <returns>False: it has not ended within the limit.</returns>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public bool Wait(TimeSpan limit)
    {
        for (var waited = TimeSpan.Zero; !_process.WaitForExit(Slice); waited += Slice)
        {
            _cancellation.ThrowIfCancellationRequested();
            if (waited >= limit)
            {
                return false;
            }
        }

        // Its last words may be on their way still.
        _errors.Wait(KillGrace, CancellationToken.None);
        _cancellation.ThrowIfCancellationRequested();
        return true;
    }

    /// <summary>Ends it at once, and whatever it has started.</summary>
    public void Kill()
    {
        try
        {
            _process.Kill(entireProcessTree: true);
        }
        catch (Exception e) when (e is InvalidOperationException or Win32Exception or AggregateException or NotSupportedException)
        {
            // It has ended in the same moment.
        }
    }

    /// <summary>Ends it.</summary>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        _registration.Dispose();
        if (!_process.HasExited)
        {
            Kill();
            _process.WaitForExit(KillGrace);
        }

        _process.Dispose();
    }

    private static FfmpegProcess Start(string program, ProcessStartInfo info, CancellationToken cancellation)
    {
        (info.RedirectStandardInput, info.RedirectStandardOutput, info.RedirectStandardError) = (true, true, true);
        (info.StandardOutputEncoding, info.StandardErrorEncoding) = (Encoding.UTF8, Encoding.UTF8);
        info.CreateNoWindow = true;
        try
        {
            return new FfmpegProcess(Process.Start(info)!, cancellation);
        }
        catch (Exception e) when (e is Win32Exception or IOException)
        {
            throw new NablaGenException($"{program} cannot be run: {e.Message}", e);
        }
    }

    private static async Task<string?> ReadAnswerAsync(FfmpegProcess process)
    {
        var text = new StringBuilder();
        var buffer = new char[4096];
        try
        {
            for (int read; (read = await process._process.StandardOutput.ReadAsync(buffer).ConfigureAwait(false)) > 0;)
            {
                if (text.Append(buffer, 0, read).Length > MaxAnswerChars)
                {
                    process.Kill();
                    return null;
                }
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
        {
            // Killed: who waits for it has its own reason.
        }

        return text.ToString();
    }

    private static async Task FeedAsync(FfmpegProcess process, ReadOnlyMemory<byte> input)
    {
        try
        {
            await process.Input.WriteAsync(input).ConfigureAwait(false);
            process._process.StandardInput.Close();
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
        {
            // It reads no more.
        }
    }

    private async Task ReadErrorsAsync()
    {
        try
        {
            while (await _process.StandardError.ReadLineAsync().ConfigureAwait(false) is { } line)
            {
                Errors.Add(line);
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
        {
            // Disposed of.
        }
    }
}

/// <summary>What a program of ffmpeg's has answered.</summary>
/// <param name="ExitCode">Its exit code; 0 where all went well.</param>
/// <param name="Output">What it printed.</param>
/// <param name="Reason">Why it failed, where it did.</param>
internal sealed record FfmpegAnswer(int ExitCode, string Output, string Reason);
