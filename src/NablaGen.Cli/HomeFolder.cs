namespace NablaGen.Cli;

/// <summary>
/// ~ for the user's folder where no shell has put it in: PowerShell and cmd never do for a program, bash does not behind <c>--model=</c> or in quotes.
/// </summary>
internal static class HomeFolder
{
    private static readonly string[] Texts = ["--prompt", "-p", "--negative-prompt"];

    /// <summary>The arguments with the user's folder in place of ~ at the start of a path; prompts stay as they are.</summary>
    public static string[] Expand(string[] args)
    {
        var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        return home.Length == 0 ? args : [.. args.Select((argument, i) => i > 0 && Texts.Contains(args[i - 1]) ? argument : Expand(argument, home))];
    }

    private static string Expand(string argument, string home)
    {
        // The argument itself, or what stands behind --model=.
        var at = argument.StartsWith("--", StringComparison.Ordinal) ? argument.IndexOf('=', StringComparison.Ordinal) + 1 : 0;
        var isPath = argument.Length > at + 1 && argument[at] == '~' && argument[at + 1] is '/' or '\\' && (at == 0 || !Texts.Contains(argument[..(at - 1)]));
        return isPath && !Path.Exists(argument[at..]) ? string.Concat(argument.AsSpan(0, at), home, argument.AsSpan(at + 1)) : argument;
    }
}
