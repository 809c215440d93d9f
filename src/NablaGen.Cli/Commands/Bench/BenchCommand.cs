using System.CommandLine;

namespace NablaGen.Cli.Commands.Bench;

/// <summary><c>nablagen bench</c>: what this machine takes for each model, with random weights.</summary>
internal static class BenchCommand
{
    public const string Example = BenchDitCommand.Example;

    public static Command Create() => new("bench", "Measure this machine.")
    {
        BenchDitCommand.Create(),
        BenchVaeCommand.Create(),
        BenchT5Command.Create(),
        BenchGenerateCommand.Create(),
        BenchKernelsCommand.Create(),
    };
}
