using System.Runtime.InteropServices;

namespace NablaGen.Cli;

/// <summary>
/// A limit on the size of files (<c>ulimit -f</c>, or a container's). Linux and macOS end a process that would exceed it, unless it ignores
/// the signal: then the write fails, and that is an error like a full disk.
/// </summary>
internal static partial class FileSizeLimit
{
    // SIGXFSZ and SIG_IGN, of Linux and macOS alike.
    private const int Signal = 25;
    private const nint Ignored = 1;

    /// <summary>Lets the write fail from now on, in this process and in the ffmpeg that it starts.</summary>
    public static void FailsTheWrite()
    {
        if (!OperatingSystem.IsWindows())
        {
            _ = signal(Signal, Ignored);
        }
    }

    [LibraryImport("libc")]
    private static partial nint signal(int number, nint handler);
}
