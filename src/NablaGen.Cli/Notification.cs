using System.Diagnostics;

namespace NablaGen.Cli;

/// <summary>Runs the user's command at the end of a run, through the system's shell.</summary>
internal static class Notification
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    // What is still in the pipes when the command ends comes at once, unless it left something behind that holds them.
    private static readonly TimeSpan Drain = TimeSpan.FromSeconds(1);

    /// <summary>Runs it, its output to the error stream.</summary>
    /// <param name="command">A line for the shell.</param>
    /// <param name="variables">What its environment gets.</param>
    /// <param name="limit">How long it may take; null for 30 seconds.</param>
    /// <returns>Null, or what went wrong.</returns>
    public static string? Run(string command, IReadOnlyDictionary<string, string> variables, TimeSpan? limit = null)
    {
        // cmd.exe has its own quoting: what is behind /c is taken as it is.
        var start = OperatingSystem.IsWindows()
            ? new ProcessStartInfo("cmd.exe", $"/d /s /c \"{command}\"")
            : new ProcessStartInfo("/bin/sh", ["-c", command]);
        (start.RedirectStandardInput, start.RedirectStandardOutput, start.RedirectStandardError) = (true, true, true);
        foreach (var (name, value) in variables)
        {
            start.Environment[name] = value;
        }

        try
        {
            using var process = Process.Start(start)!;
            // What it prints must not mix with a command's own output, which may be read by a machine.
            var (output, error) = (new TaskCompletionSource(), new TaskCompletionSource());
            process.OutputDataReceived += (_, e) => Echo(e.Data, output);
            process.ErrorDataReceived += (_, e) => Echo(e.Data, error);
            process.BeginOutputReadLine();
            process.BeginErrorReadLine();
            process.StandardInput.Close();
            var allowed = limit ?? Limit;
            if (!process.WaitForExit(allowed))
            {
                process.Kill(entireProcessTree: true);
                return $"ended after {allowed.TotalSeconds:0} s, the longest it may take";
            }

            Task.WaitAll([output.Task, error.Task], Drain);
            return process.ExitCode == 0 ? null : $"exit code {process.ExitCode}";
        }
        catch (Exception e) when (e is System.ComponentModel.Win32Exception or IOException or InvalidOperationException or UnauthorizedAccessException)
        {
            return $"cannot be run: {e.Message}";
        }
    }

    private static void Echo(string? line, TaskCompletionSource end)
    {
        if (line is not null)
        {
            Console.Error.WriteLine(line);
        }
        else
        {
            end.TrySetResult();
        }
    }
}
