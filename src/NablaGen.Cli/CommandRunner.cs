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

    public static int Run(RootCommand root, string[] args)
    {
        root.Add(Verbose);
        var parsed = root.Parse(args);
        if (parsed.Errors.Count > 0)
        {
            return WrongUsage(parsed);
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
        try
        {
            return parsed.InvokeAsync(
                new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null }, cancellation.Token)
                .GetAwaiter().GetResult();
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            Console.Error.WriteLine("nablagen: cancelled");
            return ExitCode.Cancelled;
        }
        catch (InvalidRequestException error)
        {
            return Fail(parsed, error, error.Message, ExitCode.WrongUsage);
        }
        catch (NablaGenException error)
        {
            return Fail(parsed, error, error.Message, ExitCode.Failed);
        }
        catch (CudaException error)
        {
            return Fail(parsed, error, error.Message, ExitCode.Failed);
        }
        catch (OutOfMemoryException error)
        {
            return Fail(parsed, error, "out of memory: use a smaller --width, --height or --frames", ExitCode.Failed);
        }
        catch (Exception error)
        {
            var line = error.Message.Split('\n')[0].Trim();
            return Fail(parsed, error, $"unexpected {error.GetType().Name}: {line} (run again with --verbose for more)", ExitCode.Failed);
        }
    }

    private static int WrongUsage(ParseResult parsed)
    {
        Console.Error.WriteLine($"nablagen: {Plain(parsed.Errors[0].Message)}");
        var command = string.Join(' ', Names(parsed.CommandResult));
        Console.Error.WriteLine($"See: {command} --help");
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

    private static int Fail(ParseResult parsed, Exception error, string line, int code)
    {
        Console.Error.WriteLine($"nablagen: {line}");
        if (parsed.GetValue(Verbose))
        {
            Console.Error.WriteLine(error);
        }

        return code;
    }
}
