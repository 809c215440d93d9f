using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using NablaGen.Cli.Output;

namespace NablaGen.Cli;

/// <summary>The usual help, and an example of the command below it.</summary>
internal sealed class ExampleHelp(HelpAction help, IReadOnlyDictionary<string, string> examples) : SynchronousCommandLineAction
{
    // What a narrow terminal has; what goes to a pager or a file has no width of its own.
    private const int Columns = 80;

    public override bool ClearsParseErrors => true;

    /// <summary>Adds examples to a command line's help.</summary>
    /// <param name="root">The command line.</param>
    /// <param name="examples">By command (<c>bench dit</c>), the words behind <c>nablagen</c>.</param>
    public static void AddTo(RootCommand root, IReadOnlyDictionary<string, string> examples)
    {
        var option = root.Options.OfType<HelpOption>().Single();
        var help = (HelpAction)option.Action!;
        if (Terminal.IsRedirected)
        {
            help.MaxWidth = Columns;
        }

        option.Action = new ExampleHelp(help, examples);
    }

    public override int Invoke(ParseResult parseResult)
    {
        var output = parseResult.InvocationConfiguration.Output;
        using var text = new StringWriter();
        var about = ModelHelp.Apply(parseResult);
        parseResult.InvocationConfiguration.Output = text;
        var code = help.Invoke(parseResult);
        parseResult.InvocationConfiguration.Output = output;
        var arranged = HelpGroups.Arrange(text.ToString());
        output.Write(about is null ? arranged : arranged.Replace("\n\nUsage:\n", $"\n  {about}\n\nUsage:\n"));
        if (examples.TryGetValue(Path(parseResult.CommandResult), out var example))
        {
            parseResult.InvocationConfiguration.Output.WriteLine($"Example:\n{Lines($"  nablagen {example}")}\n");
        }

        return code;
    }

    // A long example goes on below, as a shell reads it; cmd and PowerShell have other ways, and it stays whole.
    private static string Lines(string example)
    {
        var cut = OperatingSystem.IsWindows() || example.Length <= Columns ? -1 : example.LastIndexOf(" -", Columns - 2, StringComparison.Ordinal);
        return cut <= 0 ? example : $"{example[..cut]} \\\n{Lines($"    {example[(cut + 1)..]}")}";
    }

    // Below the root, since one name may come twice (bench dit, train dit).
    private static string Path(CommandResult result) =>
        result.Parent is CommandResult parent ? $"{Path(parent)} {result.Command.Name}".TrimStart() : "";
}
