using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace NablaGen.Tests.Cli;

/// <summary>What README and docs type can be typed: each command is there, and takes the options that stand behind it.</summary>
[Trait(Lane.Name, Lane.Commands)]
public sealed partial class DocumentedOptionTests
{
    // Of scripts and other programs.
    private static readonly HashSet<string> Others = ["--format", "--check", "--array", "--set", "--nproc-per-node", "--no-python", "--ntasks-per-node"];

    private readonly Dictionary<string, string> _help = [];

    [Fact]
    public void Every_command_line_of_the_docs_has_options_that_there_are()
    {
        Read("");
        var wrong = new List<string>();
        var lines = 0;
        foreach (var (page, text) in Pages())
        {
            foreach (var line in text.Split('\n').SelectMany(line => CommandLine().Matches(line).Select(match => match.Groups[1].Value)))
            {
                var words = new Queue<string>(Rest().Split(line)[0].Split(' ', StringSplitOptions.RemoveEmptyEntries));
                var command = "";
                while (words.TryPeek(out var word) && _help.ContainsKey(Join(command, word)))
                {
                    command = Join(command, words.Dequeue());
                }

                // "nablagen makes ..." is no command.
                lines += command.Length > 0 ? 1 : 0;
                wrong.AddRange(words.SelectMany(word => Option().Matches(word).Select(match => match.Value))
                    .Where(option => command.Length > 0 && !Takes(_help[command], option)).Select(option => $"{page}: nablagen {command} takes no {option}"));
            }

            wrong.AddRange(Code().Matches(text).SelectMany(code => LongOption().Matches(code.Value).Select(match => match.Value)).Distinct()
                .Where(option => !Others.Contains(option) && !_help.Values.Any(help => Takes(help, option))).Select(option => $"{page}: no command takes {option}"));
        }

        Assert.Empty(wrong);
        Assert.InRange(lines, 80, 1000);
    }

    private static bool Takes(string help, string option) => Regex.IsMatch(help, $"(?<![\\w-]){Regex.Escape(option)}(?![\\w-])");

    private static string Join(string command, string word) => command.Length == 0 ? word : $"{command} {word}";

    private void Read(string command)
    {
        var help = NablaGenCommand.Run([.. command.Split(' ', StringSplitOptions.RemoveEmptyEntries), "--help"]).Output;
        _help.Add(command, help);
        foreach (var line in help.Split('\n').SkipWhile(line => line != "Commands:").Skip(1).TakeWhile(line => line.Length > 0))
        {
            if (line.StartsWith("  ", StringComparison.Ordinal) && line[2] != ' ')
            {
                Read(Join(command, line.Trim().Split(' ')[0]));
            }
        }
    }

    private static IEnumerable<(string Name, string Text)> Pages([CallerFilePath] string source = "")
    {
        var root = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(source)!, "../../.."));
        Assert.SkipUnless(Directory.Exists(Path.Combine(root, "docs")), "needs the sources");
        return Directory.GetFiles(Path.Combine(root, "docs"), "*.md").Append(Path.Combine(root, "README.md")).Append(Path.Combine(root, "samples", "README.md"))
            .Select(page => (Path.GetRelativePath(root, page), File.ReadAllText(page).ReplaceLineEndings("\n").Replace("\\\n", " ")));
    }

    // Up to the end of the code that it stands in, or the next column of a table.
    [GeneratedRegex(@"(?<![\w./-])(?:scripts[/\\])?nablagen ([a-z][^`|]*)")]
    private static partial Regex CommandLine();

    // What comes behind the command: a comment, another command, a file.
    [GeneratedRegex(@"\s(?:#|&&|>|;|<)")]
    private static partial Regex Rest();

    [GeneratedRegex(@"^--?[a-z][a-z0-9-]*")]
    private static partial Regex Option();

    [GeneratedRegex("`[^`]*`")]
    private static partial Regex Code();

    [GeneratedRegex(@"(?<![\w-])--[a-z][a-z0-9-]*")]
    private static partial Regex LongOption();
}
