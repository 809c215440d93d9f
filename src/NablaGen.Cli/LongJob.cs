using System.CommandLine;
using System.Diagnostics;
using System.Runtime.InteropServices;
using NablaGen.Generation;

namespace NablaGen.Cli;

/// <summary>What a run does for someone who is not watching: a log, and a command when it ends. For every command that adds its options.</summary>
internal sealed class LongJob
{
    private static readonly Option<string?> LogFile = new("--log")
    {
        Description = "Append a log of the run to a file: times, stages, steps, recipe, errors in full",
        HelpName = "FILE",
    };

    private static readonly Option<string?> NotifyCommand = new("--notify-command")
    {
        Description = "Run this through the shell at the end; NABLAGEN_STATUS is done, failed or cancelled, "
            + "also NABLAGEN_EXIT_CODE, NABLAGEN_OUTPUT, NABLAGEN_SECONDS, NABLAGEN_ERROR, NABLAGEN_COMMAND",
        HelpName = "CMD",
    };

    private readonly Stopwatch _watch = Stopwatch.StartNew();
    private readonly string _command;
    private readonly string? _notify;
    private int _ended;

    private LongJob(string command, RunLog? log, string? notify) => (_command, Log, _notify) = (command, log, notify);

    /// <summary>That of this process; null where its command has no such options.</summary>
    public static LongJob? Current { get; private set; }

    /// <summary>The log; null where none is asked for.</summary>
    public RunLog? Log { get; }

    /// <summary>What was made, for the command at the end; null so far. Commands that make several things name their folder.</summary>
    public string? Output { get; set; }

    /// <summary>Why a run failed that ends without an exception, as a batch does in which rows failed; null where it did not.</summary>
    public string? Problem { get; set; }

    /// <summary>Adds the options to a command.</summary>
    public static void AddTo(Command command)
    {
        command.Add(LogFile);
        command.Add(NotifyCommand);
    }

    /// <summary>Starts the log, if the command has these options and one is given; not of a process that helps another.</summary>
    /// <exception cref="NablaGenException">The log cannot be written.</exception>
    public static LongJob? Start(ParseResult parsed, string command)
    {
        var options = parsed.CommandResult.Command.Options;
        if (!options.Contains(LogFile) || Commands.RankOptions.IsHelper(parsed))
        {
            return null;
        }

        var log = parsed.GetValue(LogFile) is { } path ? new RunLog(path) : null;
        log?.Write("start", $"nablagen {NablaGenVersion.Text}, {RuntimeInformation.FrameworkDescription}, {RuntimeInformation.OSDescription}, "
            + $"process {Environment.ProcessId} in {Environment.CurrentDirectory}");
        log?.Write("command", string.Join(' ', parsed.Tokens.Select(token => Quoted(token.Value))));
        return Current = new LongJob(command, log, parsed.GetValue(NotifyCommand));
    }

    /// <summary>A video is made.</summary>
    public void Done(GenerationResult result)
    {
        Output ??= Path.GetFullPath(result.Path);
        Log?.Write("recipe", result.Recipe.ToJson());
        Log?.Write("video", $"{result.Path}, mean density {result.Density:0.000}, {result.PeakMemoryBytes >> 20} MiB at peak, "
            + string.Join(", ", result.Seconds.Select(stage => $"{Cli.Output.ProgressReport.Name(stage.Key)} {stage.Value:0.000} s")));
    }

    /// <summary>An argument as one would type it.</summary>
    internal static string Quoted(string argument) =>
        argument.Length > 0 && !argument.Any(c => char.IsWhiteSpace(c) || c is '"' or '\'' or '$' or '`' or '&' or ';' or '|' or '<' or '>' or '(' or ')' or '*' or '?' or '#')
            ? argument
            : $"\"{argument.Replace("\"", "\\\"")}\"";

    /// <summary>Ends the log and runs the command.</summary>
    /// <param name="code">The run's exit code.</param>
    /// <param name="line">The error's line; null where it went well.</param>
    /// <param name="failure">The error.</param>
    public void End(int code, string? line, Exception? failure)
    {
        if (Interlocked.Exchange(ref _ended, 1) != 0)
        {
            return;
        }

        line ??= Problem;
        var status = code switch { ExitCode.Done => "done", ExitCode.Cancelled => "cancelled", _ => "failed" };
        if (failure is not null && code == ExitCode.Failed)
        {
            Log?.Write("error", failure.ToString());
        }

        Log?.Write("end", $"{status}, exit code {code}, {_watch.Elapsed.TotalSeconds:0.0} s{(line is null ? "" : $": {line}")}");
        if (_notify is not null && Notification.Run(_notify, new Dictionary<string, string>
        {
            ["NABLAGEN_STATUS"] = status,
            ["NABLAGEN_EXIT_CODE"] = $"{code}",
            ["NABLAGEN_OUTPUT"] = Output ?? "",
            ["NABLAGEN_SECONDS"] = $"{_watch.Elapsed.TotalSeconds:0.0}",
            ["NABLAGEN_ERROR"] = line ?? "",
            ["NABLAGEN_COMMAND"] = _command,
        }) is { } problem)
        {
            CommandRunner.Warn($"--notify-command: {problem}");
        }

        Log?.Dispose();
        Current = null;
    }
}
