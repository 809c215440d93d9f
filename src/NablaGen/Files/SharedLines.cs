using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace NablaGen.Files;

/// <summary>
/// A file of lines that several processes append to. On Unix a line is one <c>write</c> to a file opened with O_APPEND, which the system
/// puts at the end whoever else writes; no lock is needed, which a network's file system may not have. On Windows, where .NET cannot append
/// like this, the file is opened for the one alone.
/// </summary>
internal static partial class SharedLines
{
    private const int ReadOnly = 0;
    private const int WriteOnly = 1;
    private const int Create = 0x40;
    private const int Append = 0x400;
    private const int NonBlocking = 0x800;
    private const int CloseOnExec = 0x80000;
    private const int ModeOfAll = 0b110_110_110;
    private const int MostTries = 3;
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LongestWrite = TimeSpan.FromSeconds(0.2);

    // Linux's numbers; elsewhere .NET's own way does.
    private static bool IsUnix => OperatingSystem.IsLinux();

    /// <summary>Opens the file to read what is in it, while others append.</summary>
    /// <exception cref="IOException">It cannot be opened, or is no plain file (opening a named pipe would wait for its writer).</exception>
    public static FileStream Open(string path)
    {
        var file = IsUnix
            ? new FileStream(OpenUnix(path, ReadOnly | NonBlocking), FileAccess.Read, bufferSize: 0)
            : OpenAlone(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        if (!file.CanSeek)
        {
            file.Dispose();
            throw new IOException("it is a pipe or a device, expected a plain file");
        }

        return file;
    }

    /// <summary>Appends a line; it is on the disk when this returns, whole and once.</summary>
    /// <param name="path">The file, made where it is not there.</param>
    /// <param name="line">The line without its end. What comes before it, a torn line of a process that died, is ended first.</param>
    /// <exception cref="IOException">It cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be written.</exception>
    public static void Add(string path, ReadOnlySpan<byte> line)
    {
        if (!IsUnix)
        {
            using var file = OpenAlone(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            var torn = file.Length > 0 && LastByte(file.SafeFileHandle) != '\n';
            file.Seek(0, SeekOrigin.End);
            file.Write(Whole(line, torn));
            file.Flush(flushToDisk: true);
            return;
        }

        // A network's file system may append at the end it last heard of: see that the line is there, and whole.
        for (var tried = 1; ; tried++)
        {
            using var handle = OpenUnix(path, WriteOnly | Append | Create | NonBlocking);
            using var back = Open(path);
            var torn = IsTorn(back.SafeFileHandle);
            var before = back.Length;
            var bytes = Whole(line, torn);
            var written = write(handle, bytes, bytes.Length);
            if (written != bytes.Length)
            {
                throw written < 0 ? Error() : new IOException("No space left on device", NoSpace);
            }

            if (fsync(handle) != 0)
            {
                throw Error();
            }

            if (IsThere(back, before, line))
            {
                return;
            }

            if (tried == MostTries)
            {
                throw new IOException("what is written there does not stay there");
            }
        }
    }

    private const int NoSpace = 28; // ENOSPC

    private static byte[] Whole(ReadOnlySpan<byte> line, bool torn) => [.. torn ? "\n"u8 : [], .. line, (byte)'\n'];

    private static bool IsThere(FileStream file, long start, ReadOnlySpan<byte> line)
    {
        var tail = new byte[Math.Max(0, file.Length - start)];
        var read = RandomAccess.Read(file.SafeFileHandle, tail, start);
        return tail.AsSpan(0, read).IndexOf(line) >= 0;
    }

    // A line that another process is writing may be seen in part, where it crosses a page of memory; it is complete a moment later. The
    // line of a process that died stays as it is.
    private static bool IsTorn(SafeFileHandle file)
    {
        for (var watch = Stopwatch.StartNew(); RandomAccess.GetLength(file) > 0 && LastByte(file) != '\n'; Thread.Sleep(1))
        {
            if (watch.Elapsed > LongestWrite)
            {
                return true;
            }
        }

        return false;
    }

    private static int LastByte(SafeFileHandle file)
    {
        Span<byte> last = stackalloc byte[1];
        return RandomAccess.Read(file, last, RandomAccess.GetLength(file) - 1) == 1 ? last[0] : '\n';
    }

    // While another process holds the file, opening it fails; each holds it for one line.
    private static FileStream OpenAlone(string path, FileMode mode, FileAccess access, FileShare share)
    {
        for (var watch = Stopwatch.StartNew(); ; Thread.Sleep(5))
        {
            try
            {
                return new FileStream(path, mode, access, share, bufferSize: 0);
            }
            catch (IOException error) when (error is not (FileNotFoundException or DirectoryNotFoundException) && watch.Elapsed < LongestWait)
            {
            }
        }
    }

    private static SafeFileHandle OpenUnix(string path, int flags)
    {
        var handle = open(path, flags | CloseOnExec, ModeOfAll);
        return handle >= 0 ? new SafeFileHandle(handle, ownsHandle: true) : throw Error();
    }

    private static Exception Error()
    {
        const int NoSuchDevice = 6; // ENXIO: a named pipe that nobody reads
        const int NotPermitted = 1; // EPERM
        const int AccessDenied = 13; // EACCES
        var number = Marshal.GetLastPInvokeError();
        var text = new Win32Exception(number).Message;
        return number switch
        {
            NoSuchDevice => new IOException("it is a pipe or a device, expected a plain file", number),
            NotPermitted or AccessDenied => new UnauthorizedAccessException(text),
            _ => new IOException(text, number),
        };
    }

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags, int mode);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint write(SafeFileHandle file, ReadOnlySpan<byte> bytes, nint count);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fsync(SafeFileHandle file);
}
