using System.Reflection;
using NablaGen.Cli.Output;

namespace NablaGen.Tests.Cli;

/// <summary>
/// Runs the command in the tests' own process, from its arguments to its exit code. A process of its own (<see cref="NablaGenProcess"/>) takes
/// a second or two of the processor's time to start in: that is for tests of signals, streams, limits and several processes at once.
/// </summary>
/// <remarks>One at a time: while it runs, the current folder, the console and the environment are the command's.</remarks>
internal static class NablaGenCommand
{
    private static readonly Lock Gate = new();

    public static NablaGenProcess Run(IEnumerable<string> arguments, string? folder = null, IReadOnlyDictionary<string, string?>? environment = null)
    {
        lock (Gate)
        {
            var before = (Console.Out, Console.Error, Folder: Environment.CurrentDirectory);
            var variables = (environment ?? new Dictionary<string, string?>()).ToDictionary(one => one.Key, one => Environment.GetEnvironmentVariable(one.Key));
            using var output = new StringWriter();
            using var error = new StringWriter();
            try
            {
                Set(environment ?? variables);
                Environment.CurrentDirectory = folder ?? Path.GetTempPath();
                Terminal.Captured = (output, error);
                var code = typeof(Terminal).Assembly.EntryPoint!.Invoke(null, BindingFlags.DoNotWrapExceptions, null, [arguments.ToArray()], null);
                return NablaGenProcess.Of((int)code!, output.ToString(), error.ToString());
            }
            finally
            {
                Terminal.Captured = null;
                Environment.CurrentDirectory = before.Folder;
                Set(variables);
                Console.SetOut(before.Out);
                Console.SetError(before.Error);
            }
        }
    }

    private static void Set(IReadOnlyDictionary<string, string?> variables)
    {
        foreach (var (name, value) in variables)
        {
            Environment.SetEnvironmentVariable(name, value);
        }
    }
}
