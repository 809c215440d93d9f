using System.CommandLine;
using System.CommandLine.Parsing;
using System.Text.RegularExpressions;
using NablaGen.Cli.Output;
using NablaGen.Cuda;
using NablaGen.Files;

namespace NablaGen.Cli;

/// <summary>Runs a command line: signals, errors in one line, exit codes.</summary>
internal static partial class CommandRunner
{
    /// <summary>Shows the stack trace of an error, too.</summary>
    public static Option<bool> Verbose { get; } = new("--verbose")
    {
        Description = "Show an error's stack trace",
        Recursive = true,
    };

    // An argument that begins with @ is what it says, such as a prompt, and not the name of a file with more arguments.
    private static readonly ParserConfiguration Plainly = new() { ResponseFileTokenReplacer = null };

    private static readonly TimeSpan InterruptGrace = TimeSpan.FromSeconds(0.1);

    public static int Run(RootCommand root, string[] args)
    {
        Terminal.SetUp();
        FileSizeLimit.FailsTheWrite();
        if (!HasCurrentFolder())
        {
            Console.Error.WriteLine("nablagen: the current folder is not there any more: change to another");
            return ExitCode.Failed;
        }

        root.Add(Verbose);
        args = HomeFolder.Expand(args);
        var parsed = root.Parse(args, Plainly);
        // A directive such as [suggest] has its own say about what follows it.
        if (parsed.Errors.Count > 0 && !root.Directives.Any(directive => parsed.GetResult(directive) is not null))
        {
            return WrongUsage(root, parsed, args);
        }

        // "-prompt x" would be read as "-p rompt".
        if (UsageHint.ForSingleHyphen(parsed, args) is { } mistyped)
        {
            return WrongUsage(parsed, mistyped);
        }

        int code;
        Exception? failure = null;
        string? line = null;
        LongJob? job = null;
        var names = Names(parsed.CommandResult).ToArray();
        using var interruption = new Interruption(() => job, Piece(names), isPatient: names.Contains("train"));
        try
        {
            OutputNames.Check(parsed);
            job = LongJob.Start(parsed, string.Join(' ', names.Skip(1)));
            code = parsed.InvokeAsync(
                new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null }, interruption.Token)
                .GetAwaiter().GetResult();
        }
        catch (Exception error)
        {
            failure = error;
            // A terminal's Ctrl-C ends ffmpeg too, and that it failed may be here before our own signal.
            (code, line) = Explain(error, error is NablaGenException and not InvalidRequestException
                ? interruption.Token.WaitHandle.WaitOne(InterruptGrace)
                : interruption.Token.IsCancellationRequested);
        }

        if (!interruption.TryEnd())
        {
            // The work did not look up in time, and the process is being ended.
            Thread.Sleep(Timeout.Infinite);
        }

        if (line is not null)
        {
            Console.Error.WriteLine($"nablagen: {line}");
            if (code != ExitCode.Cancelled && parsed.GetValue(Verbose))
            {
                Console.Error.WriteLine(failure);
            }
        }

        job?.End(code, line, failure);
        return code;
    }

    /// <summary>A line that does not end the run, on the error stream and in the log.</summary>
    public static void Warn(string line)
    {
        Console.Error.WriteLine($"nablagen: {Line.Of(line)}");
        LongJob.Current?.Log?.Write("warning", line);
    }

    /// <summary>The exit code and the line of what ended a run.</summary>
    internal static (int Code, string Line) Explain(Exception error, bool cancelled)
    {
        var (code, line) = CodeAndLine(error, cancelled);
        return (code, Line.Of(line));
    }

    private static (int Code, string Line) CodeAndLine(Exception error, bool cancelled) => error switch
    {
        OperationCanceledException or NablaGenException when cancelled => (ExitCode.Cancelled, "cancelled"),
        InvalidRequestException => (ExitCode.WrongUsage, error.Message),
        NablaGenException or CudaException => (ExitCode.Failed, error.Message),
        OutOfMemoryException => (ExitCode.Failed, "out of memory: use a smaller --width, --height or --frames"),
        _ => (ExitCode.Failed, $"unexpected {error.GetType().Name}: {error.Message.Split('\n')[0].Trim()} (run again with --verbose for more)"),
    };

    // What a command finishes before it stops, in its user's words.
    private static string? Piece(IReadOnlyList<string> names) => names.Skip(1).FirstOrDefault() switch
    {
        "train" => "step",
        "generate" or "batch" or "compare" or "evaluate" or "calibrate" or "bench" => "layer",
        _ => null,
    };

    private static bool HasCurrentFolder()
    {
        try
        {
            return Directory.Exists(Directory.GetCurrentDirectory());
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static int WrongUsage(ParseResult parsed, string line)
    {
        Console.Error.WriteLine($"nablagen: {Line.Of(line)}");
        Console.Error.WriteLine($"See: {string.Join(' ', Names(parsed.CommandResult))} --help");
        return ExitCode.WrongUsage;
    }

    private static int WrongUsage(RootCommand root, ParseResult parsed, string[] args)
    {
        var names = Names(parsed.CommandResult).ToArray();
        var isOnlyOthers = parsed.CommandResult.Command is { Action: null, Subcommands.Count: > 0 };
        if (isOnlyOthers && parsed.UnmatchedTokens.Count == 0)
        {
            // The name of a command that consists of others, on its own: these are the others.
            root.Parse([.. names.Skip(1), "--help"]).Invoke(new InvocationConfiguration { Output = Console.Error });
            return ExitCode.WrongUsage;
        }

        var line = Plain(parsed.Errors[0].Message);
        if (UsageHint.ForSingleHyphen(parsed, args) is { } mistyped)
        {
            line = mistyped;
        }
        else if (isOnlyOthers)
        {
            line = $"'{parsed.UnmatchedTokens[0]}' is not a command{UsageHint.For(parsed)}";
        }
        else if (parsed.Errors[0].Message.StartsWith("Unrecognized", StringComparison.Ordinal))
        {
            line += UsageHint.For(parsed);
        }

        return WrongUsage(parsed, line);
    }

    // System.CommandLine names .NET's types; a user knows numbers.
    private static string Plain(string message)
    {
        var line = message.ReplaceLineEndings(" ").TrimEnd('.');
        return CannotParse().Match(line) is { Success: true } match
            ? $"{match.Groups["option"].Value}: '{match.Groups["text"].Value}' is not a {(match.Groups["type"].Value.Contains("Int") ? "whole number" : "number")}"
            : line;
    }

    [GeneratedRegex("^Cannot parse argument '(?<text>.*)' for option '(?<option>[^']*)' as expected type '(?<type>.*)'$")]
    private static partial Regex CannotParse();

    private static IEnumerable<string> Names(CommandResult result) =>
        result.Parent is CommandResult parent ? [.. Names(parent), result.Command.Name] : ["nablagen"];
}
