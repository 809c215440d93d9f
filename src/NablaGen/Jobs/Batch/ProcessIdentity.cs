using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace NablaGen.Jobs.Batch;

/// <summary>Which process on which machine: enough to tell, on that machine, whether it still runs.</summary>
/// <param name="Host">The machine's name.</param>
/// <param name="Space">Linux: the space that process numbers belong to, for containers share a host's name; elsewhere empty.</param>
/// <param name="Id">The process's number.</param>
/// <param name="Started">When it started, in the system's own unit: numbers are used again.</param>
internal sealed record ProcessIdentity(string Host, string Space, int Id, long Started)
{
    public static ProcessIdentity Current { get; } =
        new(Environment.MachineName, CurrentSpace(), Environment.ProcessId, StartOf(Environment.ProcessId) ?? 0);

    /// <summary>Whether the process is known to have ended; false where that cannot be told from here.</summary>
    public bool HasEnded()
    {
        try
        {
            return Host == Current.Host && Space == Current.Space && StartOf(Id) != Started;
        }
        catch (Exception error) when (error is Win32Exception or UnauthorizedAccessException)
        {
            // Another user's: there is one of that number, and that is all that can be seen.
            return false;
        }
    }

    private static string CurrentSpace() => OperatingSystem.IsLinux() ? new FileInfo("/proc/self/ns/pid").LinkTarget ?? "" : "";

    // Null where there is no such process.
    private static long? StartOf(int id)
    {
        try
        {
            if (OperatingSystem.IsLinux())
            {
                // proc_pid_stat(5): behind the name in parentheses come the state and, as field 22, the start. Process.StartTime
                // computes a clock time from it, which wavers.
                var stat = File.ReadAllText($"/proc/{id}/stat");
                var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
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
