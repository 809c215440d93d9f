using System.Globalization;
using System.Runtime.InteropServices;
using NablaGen.Cli.Output;
using NablaGen.Files;

namespace NablaGen.Cli;

/// <summary>
/// Ctrl-C, SIGTERM and a hung-up terminal: the first is answered at once and stops the work in good order, a second ends it. Work that has
/// not looked up within a few seconds (a long step, a file system that is away) is ended, too.
/// </summary>
internal sealed partial class Interruption : IDisposable
{
    // With what comes after it, within five seconds.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(4);

    private readonly CancellationTokenSource _cancellation = new();
    private readonly List<PosixSignalRegistration> _registrations = [];
    private readonly Func<LongJob?> _job;
    private readonly string? _piece;
    private readonly bool _isPatient;
    private Timer? _timer;
    private int _ended;

    /// <param name="job">That of the command, once it has begun.</param>
    /// <param name="piece">What is finished first, such as a layer; null where it is nothing that a user knows.</param>
    /// <param name="isPatient">Never ends work by force at the first signal: a training saves its state, however long that takes.</param>
    public Interruption(Func<LongJob?> job, string? piece, bool isPatient)
    {
        (_job, _piece, _isPatient) = (job, piece, isPatient);
        _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop));
        _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop));
        if (!IsHangUpIgnored())
        {
            _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGHUP, Stop));
        }
    }

    /// <summary>Is cancelled by the first signal.</summary>
    public CancellationToken Token => _cancellation.Token;

    /// <summary>Whether the caller ends the run; false where it was ended from here already.</summary>
    public bool TryEnd() => Interlocked.Exchange(ref _ended, 1) == 0;

    public void Dispose()
    {
        _registrations.ForEach(registration => registration.Dispose());
        _timer?.Dispose();
    }

    private void Stop(PosixSignalContext context)
    {
        if (Volatile.Read(ref _ended) != 0)
        {
            // It is at its end already, with the user's command perhaps: a further signal does what it does to any process.
            return;
        }

        context.Cancel = true;
        if (_cancellation.IsCancellationRequested)
        {
            End();
            return;
        }

        Console.Error.WriteLine($"nablagen: stopping{(_piece is null ? "" : $" after this {_piece}")}; Ctrl-C again ends now");
        if (!_isPatient)
        {
            _timer = new Timer(_ => End(), null, Patience, Timeout.InfiniteTimeSpan);
        }

        _cancellation.Cancel();
    }

    private void End()
    {
        if (!TryEnd())
        {
            return;
        }

        Leave(ExitCode.Cancelled, "cancelled", "cancelled", _job());
    }

    /// <summary>Ends the process at once, in good order but for its work.</summary>
    /// <param name="code">The exit code.</param>
    /// <param name="status">What a program is told.</param>
    /// <param name="line">What the user is told; null for nothing.</param>
    /// <param name="job">That of the command; null for the current one.</param>
    public static void Leave(int code, string status, string? line, LongJob? job = null)
    {
        if (line is not null)
        {
            Console.Error.WriteLine($"nablagen: {Line.Of(line)}");
        }

        OutputFile.DiscardAll();
        FileClaims.ReleaseAll();
        JsonReport.Current?.End(status, line ?? "");
        (job ?? LongJob.Current)?.End(code, line, null);
        if (!OperatingSystem.IsWindows())
        {
            // Not exit(): threads that compute would see the libraries' data go away under them.
            _exit(code);
        }

        Environment.Exit(code);
    }

    // nohup, and a shell's disown, say that a hung-up terminal is no reason to stop.
    private static bool IsHangUpIgnored()
    {
        const string Field = "SigIgn:";
        try
        {
            return OperatingSystem.IsLinux() && File.ReadLines("/proc/self/status").FirstOrDefault(line => line.StartsWith(Field, StringComparison.Ordinal)) is { } line
                && (ulong.Parse(line[Field.Length..].Trim(), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture) & 1) != 0;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or FormatException)
        {
            return false;
        }
    }

    [LibraryImport("libc")]
    private static partial void _exit(int code);
}
