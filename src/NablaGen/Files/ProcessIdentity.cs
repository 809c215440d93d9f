using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace NablaGen.Files;

/// <summary>Which process on which machine: enough to tell, on that machine, whether it still runs.</summary>
/// <param name="Host">The machine's name.</param>
/// <param name="Space">Linux: the space that process numbers belong to, for containers share a host's name; elsewhere empty.</param>
/// <param name="Id">The process's number.</param>
/// <param name="Started">When it started, in the system's own unit: numbers are used again.</param>
internal sealed record ProcessIdentity(string Host, string Space, int Id, long Started)
{
    public static ProcessIdentity Current { get; } =
        new(Environment.MachineName, CurrentSpace(), Environment.ProcessId, StartOf(Environment.ProcessId, out _) ?? 0);

    /// <summary>This process in a file's name: <c>place-id-start</c>, all hexadecimal.</summary>
    public static string Token { get; } = $"{PlaceOf(Current)}-{Current.Id:x}-{Current.Started:x}";

    /// <summary>Whether the process is known to have ended; false where that cannot be told from here.</summary>
    public bool HasEnded() => State() == ProcessState.Ended;

    /// <summary>What is known here of the process.</summary>
    public ProcessState State()
    {
        if (Host != Current.Host || Space != Current.Space)
        {
            return ProcessState.Unknown;
        }

        try
        {
            return StartOf(Id, out var stopped) != Started ? ProcessState.Ended : stopped ? ProcessState.Stopped : ProcessState.Running;
        }
        catch (Exception error) when (error is Win32Exception or UnauthorizedAccessException)
        {
            // Another user's: there is one of that number, and that is all that can be seen.
            return ProcessState.Unknown;
        }
    }

    /// <summary>Whether the process that a <see cref="Token"/> is of is known to have ended; false also for text that is no token.</summary>
    public static bool HasEnded(string token)
    {
        var parts = token.Split('-');
        return parts.Length >= 3 && parts[0] == PlaceOf(Current)
            && int.TryParse(parts[1], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var id)
            && long.TryParse(parts[2], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var started)
            && (Current with { Id = id, Started = started }).HasEnded();
    }

    private static string PlaceOf(ProcessIdentity process) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{process.Host}\n{process.Space}")))[..8];

    private static string CurrentSpace() => OperatingSystem.IsLinux() ? new FileInfo("/proc/self/ns/pid").LinkTarget ?? "" : "";

    // Null where there is no such process.
    private static long? StartOf(int id, out bool stopped)
    {
        stopped = false;
        try
        {
            if (OperatingSystem.IsLinux())
            {
                // proc_pid_stat(5): behind the name in parentheses come the state and, as field 22, the start. Process.StartTime
                // computes a clock time from it, which wavers.
                var stat = File.ReadAllText($"/proc/{id}/stat");
                var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
                stopped = fields[0] is "T" or "t";
                return fields[0] is "Z" or "X" ? null : long.Parse(fields[19], CultureInfo.InvariantCulture);
            }

            using var process = Process.GetProcessById(id);
            return process.HasExited ? null : process.StartTime.ToUniversalTime().Ticks;
        }
        catch (Exception error) when (error is IOException or ArgumentException or InvalidOperationException)
        {
            return null;
        }
    }
}
