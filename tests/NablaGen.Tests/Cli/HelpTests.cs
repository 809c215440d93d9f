namespace NablaGen.Tests.Cli;

[Trait(Lane.Name, Lane.Commands)]
public sealed class HelpTests
{
    private const int Columns = 80;

    // What `--help` names below "Commands:", and that below each of these.
    private static IEnumerable<(string[] Command, string[] Help)> All()
    {
        var open = new Queue<string[]>([[]]);
        while (open.TryDequeue(out var command))
        {
            var run = NablaGenCommand.Run([.. command, "--help"]);
            Assert.Equal((0, ""), (run.ExitCode, run.Error));
            var lines = run.Output.Split('\n');
            yield return (command, lines);
            foreach (var line in lines.SkipWhile(line => line != "Commands:").Skip(1).TakeWhile(line => line.Length > 0))
            {
                if (line.StartsWith("  ", StringComparison.Ordinal) && line[2] != ' ')
                {
                    open.Enqueue([.. command, line.Trim().Split(' ')[0]]);
                }
            }
        }
    }

    [Fact]
    public void Every_command_fits_80_columns_and_has_an_example_that_it_takes()
    {
        var seen = new List<string>();
        foreach (var (command, help) in All())
        {
            var name = string.Join(' ', command);
            seen.Add(name);
            Assert.All(help, line => Assert.True(line.Length <= Columns || OperatingSystem.IsWindows(), $"{name}: {line}"));
            var example = help.SkipWhile(line => line != "Example:").Skip(1).FirstOrDefault();
            Assert.True(example?.StartsWith($"  nablagen {name}{(command.Length == 0 ? "generate" : "")} ", StringComparison.Ordinal) == true, $"{name}: the example is {example}");
            // A command of commands shows the example of one of them.
            if (!help.Contains("Commands:"))
            {
                Assert.All(example!.Split(' ').Where(word => word.StartsWith('-')), option => Assert.Contains(help, line => line.Contains($" {option} ")));
            }
        }

        Assert.Superset(
            new HashSet<string> { "", "generate", "batch", "compare", "decode", "doctor", "bench", "bench dit", "completion", "train", "train vae", "train text", "train dit" },
            seen.ToHashSet());
    }

    [Theory]
    [InlineData]
    [InlineData("train")]
    [InlineData("bench")]
    public void A_command_of_commands_alone_shows_them(params string[] command)
    {
        var run = NablaGenCommand.Run(command);
        Assert.Equal((2, ""), (run.ExitCode, run.Output));
        Assert.Contains("Commands:\n", run.Error);
        Assert.Equal(NablaGenCommand.Run([.. command, "--help"]).Output, run.Error);
    }

    [Theory]
    [InlineData("'gen' is not a command: did you mean generate?", "gen")]
    [InlineData("'genrate' is not a command: did you mean generate?", "genrate", "--prompt", "x")]
    [InlineData("'make' is not a command", "make")]
    [InlineData("'dti' is not a command: did you mean dit?", "train", "dti")]
    [InlineData("Unrecognized command or argument '--treshold': did you mean --threshold?", "generate", "--treshold", "0.5")]
    [InlineData("Unrecognized command or argument '--neg': did you mean --negative-prompt?", "generate", "--neg", "x")]
    [InlineData("Unrecognized command or argument '--foo'", "generate", "--foo")]
    [InlineData("Unrecognized command or argument 'red': put a prompt of several words in quotes", "generate", "--prompt", "A", "red", "ball")]
    [InlineData("Unrecognized command or argument 'A': what to show goes behind --prompt, in quotes", "generate", "A", "red", "ball")]
    public void A_mistyped_word_is_told_with_what_is_like_it(string expected, params string[] line)
    {
        var run = NablaGenCommand.Run(line);
        Assert.Equal((2, ""), (run.ExitCode, run.Output));
        Assert.StartsWith($"nablagen: {expected}\nSee: nablagen ", run.Error);
    }
}
