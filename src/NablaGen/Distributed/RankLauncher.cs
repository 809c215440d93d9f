using System.Diagnostics;
using System.Globalization;

namespace NablaGen.Distributed;

/// <summary>The processes of the other ranks, which rank 0 starts: this program once more for each, with the same arguments.</summary>
public sealed class RankLauncher : IDisposable
{
    /// <summary>Names the GPUs that a process sees.</summary>
    internal const string Visible = "CUDA_VISIBLE_DEVICES";

    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan Reason = TimeSpan.FromSeconds(2);

    private readonly List<Child> _children = [];

    private RankLauncher()
    {
    }

    /// <summary>Starts the ranks from 1 on.</summary>
    /// <param name="leader">Rank 0's place.</param>
    /// <param name="arguments">The program's arguments.</param>
    public static RankLauncher Start(RankPlace leader, IEnumerable<string> arguments)
    {
        var launcher = new RankLauncher();
        try
        {
            foreach (var rank in Enumerable.Range(1, leader.Size - 1))
            {
                launcher._children.Add(new Child(leader with { Rank = rank, LocalRank = rank }, arguments));
            }

            return launcher;
        }
        catch
        {
            launcher.Dispose();
            throw;
        }
    }

    /// <summary>The line of a rank whose process has ended already; null where all run.</summary>
    public string? Lost() => _children.Find(child => child.Process.HasExited) is { } lost
        ? string.Create(CultureInfo.InvariantCulture, $"rank {lost.Rank} (process {lost.Process.Id}) ended before it began: {lost.Reason()}")
        : null;

    /// <summary>Why a rank's process ended; null where it runs on.</summary>
    /// <param name="rank">The rank.</param>
    public string? Explain(int rank) => _children.Find(child => child.Rank == rank) is { } child && child.Process.WaitForExit(Reason) ? child.Reason() : null;

    /// <summary>The GPU that a process of a machine may see, as <c>CUDA_VISIBLE_DEVICES</c> names it.</summary>
    /// <param name="visible">What its parent sees; null or empty for all.</param>
    /// <param name="localRank">The process among those of its machine.</param>
    public static string DeviceOf(string? visible, int localRank)
    {
        var devices = (visible ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return devices.Length == 0 ? localRank.ToString(CultureInfo.InvariantCulture)
            // Who started it has given it one of its own.
            : devices.Length == 1 ? devices[0]
            : localRank < devices.Length ? devices[localRank]
            : throw new NablaGenException($"{Visible} names {devices.Length} GPUs, and this is the process number {localRank} of its machine, counted from 0");
    }

    /// <summary>How this program is started once more, with streams that are read and written here.</summary>
    /// <param name="arguments">Its arguments.</param>
    /// <exception cref="NablaGenException">It is not known where it is.</exception>
    internal static ProcessStartInfo ThisProgram(IEnumerable<string> arguments)
    {
        var program = Environment.ProcessPath ?? throw new NablaGenException("the path of this program is not known, so that it cannot be started for the other GPUs");
        var start = new ProcessStartInfo(program) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        if (Path.GetFileNameWithoutExtension(program) == "dotnet")
        {
            start.ArgumentList.Add(Environment.GetCommandLineArgs()[0]);
        }

        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        return start;
    }

    /// <summary>Lets this process see its own GPU alone, where torchrun or Slurm started it. To be called before libtorch is loaded.</summary>
    /// <param name="localRank">The process among those of its machine.</param>
    public static void Confine(int localRank) => Tensors.NativeEnvironment.Set(Visible, DeviceOf(Environment.GetEnvironmentVariable(Visible), localRank));

    /// <summary>Waits until the processes have ended, for a moment; ends those that have not.</summary>
    public void Dispose()
    {
        var end = Stopwatch.GetTimestamp() + (long)(Grace.TotalSeconds * Stopwatch.Frequency);
        foreach (var child in _children)
        {
            child.Stop(Math.Max(0, (end - Stopwatch.GetTimestamp()) * 1000 / Stopwatch.Frequency));
        }
    }

    private sealed class Child
    {
        private string _last = "";

        public Child(RankPlace place, IEnumerable<string> arguments)
        {
            Rank = place.Rank;
            var start = ThisProgram(arguments);
            foreach (var (name, value) in place.Variables())
            {
                start.Environment[name] = value;
            }

            start.Environment[Visible] = DeviceOf(Environment.GetEnvironmentVariable(Visible), place.LocalRank);
            Process = Process.Start(start)!;
            Process.StandardInput.Close();
            Process.OutputDataReceived += (_, _) => { };
            Process.ErrorDataReceived += (_, line) => _last = string.IsNullOrWhiteSpace(line.Data) ? _last : line.Data.Trim();
            Process.BeginOutputReadLine();
            Process.BeginErrorReadLine();
        }

        public int Rank { get; }

        public Process Process { get; }

        public string Reason()
        {
            const string Prefix = "nablagen: ";
            Process.WaitForExit();
            var last = _last.StartsWith(Prefix, StringComparison.Ordinal) ? _last[Prefix.Length..] : _last;
            var killed = Process.ExitCode > 128 && Process.ExitCode != 130 ? $" (signal {(Process.ExitCode - 128).ToString(CultureInfo.InvariantCulture)})" : "";
            return string.Create(CultureInfo.InvariantCulture, $"exit code {Process.ExitCode}{killed}{(last.Length == 0 ? "" : $", last line: {last}")}");
        }

        public void Stop(long milliseconds)
        {
            if (!Process.WaitForExit((int)milliseconds))
            {
                try
                {
                    Process.Kill(entireProcessTree: true);
                }
                catch (Exception error) when (error is InvalidOperationException or System.ComponentModel.Win32Exception)
                {
                    // It has ended meanwhile.
                }
            }

            Process.Dispose();
        }
    }
}
