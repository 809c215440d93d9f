using System.CommandLine;

namespace NablaGen.Cli;

/// <summary>What a word that a command does not know was meant to be.</summary>
internal static class UsageHint
{
    /// <summary>For the first such word: <c>: did you mean X?</c>, or an empty text where nothing is like it.</summary>
    public static string For(ParseResult parsed)
    {
        var typed = parsed.UnmatchedTokens[0];
        var command = parsed.CommandResult.Command;
        var prompt = typed.StartsWith('-') ? null : command.Options.FirstOrDefault(option => option.Name == "--prompt");
        if (prompt is not null && parsed.GetResult(prompt) is not null)
        {
            return ": put a prompt of several words in quotes";
        }

        return Closest(typed, command.Children.Select(symbol => symbol.Name)) is { } name ? $": did you mean {name}?"
            : prompt is null ? ""
            : ": what to show goes behind --prompt, in quotes";
    }

    /// <summary>What to say of a long option that was typed with one hyphen; null where none was.</summary>
    public static string? ForSingleHyphen(ParseResult parsed, string[] args)
    {
        var options = parsed.CommandResult.Command.Options.Select(option => option.Name).ToHashSet();
        var typed = args.TakeWhile(word => word != "--")
            .FirstOrDefault(word => word.Length > 2 && word[0] == '-' && word[1] != '-' && options.Contains("-" + word.Split('=')[0]));
        return typed is null ? null : $"'{typed.Split('=')[0]}' is not an option: did you mean -{typed.Split('=')[0]}?";
    }

    /// <summary>The name that a word begins, or that is few letters away from it; null where there is none.</summary>
    internal static string? Closest(string typed, IEnumerable<string> names)
    {
        var known = names.ToArray();
        return known.FirstOrDefault(name => typed.Trim('-').Length > 0 && name.StartsWith(typed, StringComparison.OrdinalIgnoreCase))
            ?? known.Select(name => (Name: name, Distance: Distance(typed, name)))
                .Where(one => one.Distance <= Math.Max(1, typed.Length / 4))
                .OrderBy(one => one.Distance).FirstOrDefault().Name;
    }

    // Letters to add, drop or change, or neighbours to swap, from one word to the other (optimal string alignment).
    private static int Distance(string a, string b)
    {
        var costs = new int[a.Length + 1, b.Length + 1];
        for (var i = 0; i <= a.Length; i++)
        {
            for (var j = 0; j <= b.Length; j++)
            {
                if (i == 0 || j == 0)
                {
                    costs[i, j] = i + j;
                    continue;
                }

                var change = costs[i - 1, j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
                costs[i, j] = Math.Min(change, Math.Min(costs[i - 1, j], costs[i, j - 1]) + 1);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                {
                    costs[i, j] = Math.Min(costs[i, j], costs[i - 2, j - 2] + 1);
                }
            }
        }

        return costs[a.Length, b.Length];
    }
}
