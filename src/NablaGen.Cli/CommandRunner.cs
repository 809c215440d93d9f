using System.CommandLine;
using System.CommandLine.Parsing;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using NablaGen.Cuda;

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
        root.Add(Verbose);
        var parsed = root.Parse(args, Plainly);
        // A directive such as [suggest] has its own say about what follows it.
        if (parsed.Errors.Count > 0 && !root.Directives.Any(directive => parsed.GetResult(directive) is not null))
        {
            return WrongUsage(root, parsed);
        }

        using var cancellation = new CancellationTokenSource();
        void Stop(PosixSignalContext context)
        {
            // The first signal stops in good order, a second at once.
            if (!cancellation.IsCancellationRequested)
            {
                context.Cancel = true;
                cancellation.Cancel();
            }
        }

        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        int code;
        Exception? failure = null;
        string? line = null;
        LongJob? job = null;
        try
        {
            job = LongJob.Start(parsed, string.Join(' ', Names(parsed.CommandResult).Skip(1)));
            code = parsed.InvokeAsync(
                new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null }, cancellation.Token)
                .GetAwaiter().GetResult();
        }
        catch (Exception error)
        {
            failure = error;
            // A terminal's Ctrl-C ends ffmpeg too, and that it failed may be here before our own signal.
            (code, line) = Explain(error, error is NablaGenException and not InvalidRequestException
                ? cancellation.Token.WaitHandle.WaitOne(InterruptGrace)
                : cancellation.IsCancellationRequested);
            Console.Error.WriteLine($"nablagen: {line}");
            if (code != ExitCode.Cancelled && parsed.GetValue(Verbose))
            {
                Console.Error.WriteLine(error);
            }
        }

        job?.End(code, line, failure);
        return code;
    }

    /// <summary>A line that does not end the run, on the error stream and in the log.</summary>
    public static void Warn(string line)
    {
        Console.Error.WriteLine($"nablagen: {line}");
        LongJob.Current?.Log?.Write("warning", line);
    }

    /// <summary>The exit code and the line of what ended a run.</summary>
    internal static (int Code, string Line) Explain(Exception error, bool cancelled) => error switch
    {
        OperationCanceledException or NablaGenException when cancelled => (ExitCode.Cancelled, "cancelled"),
        InvalidRequestException => (ExitCode.WrongUsage, error.Message),
        NablaGenException or CudaException => (ExitCode.Failed, error.Message),
        OutOfMemoryException => (ExitCode.Failed, "out of memory: use a smaller --width, --height or --frames"),
        _ => (ExitCode.Failed, $"unexpected {error.GetType().Name}: {error.Message.Split('\n')[0].Trim()} (run again with --verbose for more)"),
    };

    private static int WrongUsage(RootCommand root, ParseResult parsed)
    {
        var names = Names(parsed.CommandResult).ToArray();
        var isOnlyOthers = parsed.CommandResult.Command.Subcommands.Count > 0;
        if (isOnlyOthers && parsed.UnmatchedTokens.Count == 0)
        {
            // The name of a command that consists of others, on its own: these are the others.
            root.Parse([.. names.Skip(1), "--help"]).Invoke(new InvocationConfiguration { Output = Console.Error });
            return ExitCode.WrongUsage;
        }

        var line = Plain(parsed.Errors[0].Message);
        if (isOnlyOthers)
        {
            line = $"'{parsed.UnmatchedTokens[0]}' is not a command{UsageHint.For(parsed)}";
        }
        else if (parsed.Errors[0].Message.StartsWith("Unrecognized", StringComparison.Ordinal))
        {
            line += UsageHint.For(parsed);
        }

        Console.Error.WriteLine($"nablagen: {line}");
        Console.Error.WriteLine($"See: {string.Join(' ', names)} --help");
        return ExitCode.WrongUsage;
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
