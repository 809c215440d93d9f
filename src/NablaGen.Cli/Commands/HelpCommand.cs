using System.CommandLine;

namespace NablaGen.Cli.Commands;

/// <summary><c>nablagen help</c>: the help of a command, as with <c>--help</c>.</summary>
internal static class HelpCommand
{
    public const string Example = "help generate";

    /// <summary>The command.</summary>
    /// <param name="root">The command line that it belongs to.</param>
    public static Command Create(RootCommand root)
    {
        var words = new Argument<string[]>("COMMAND") { Description = "A command, such as generate or bench dit; nothing for all of them", HelpName = "COMMAND", Arity = ArgumentArity.ZeroOrMore };
        words.CompletionSources.Add(_ => root.Subcommands.Select(command => new System.CommandLine.Completions.CompletionItem(command.Name)));
        var help = new Command("help", "Show a command's help.") { words };
        help.SetAction((parsed, _) =>
        {
            Command at = root;
            foreach (var word in parsed.GetValue(words)!)
            {
                at = at.Subcommands.FirstOrDefault(command => command.Name == word) ?? throw new InvalidRequestException(
                    $"'{word}' is not a command{(UsageHint.Closest(word, at.Subcommands.Select(command => command.Name)) is { } close ? $": did you mean {close}?" : "")}");
            }

            return Task.FromResult(root.Parse([.. parsed.GetValue(words)!, "--help"]).Invoke());
        });
        return help;
    }
}
