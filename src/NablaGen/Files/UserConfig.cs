namespace NablaGen.Files;

/// <summary>
/// Where a user's own settings lie: NABLAGEN_CONFIG, XDG_CONFIG_HOME/nablagen, ~/.config/nablagen or, on Windows, %APPDATA%\nablagen.
/// </summary>
public static class UserConfig
{
    /// <summary>The environment variable that names another folder.</summary>
    public const string Variable = "NABLAGEN_CONFIG";

    /// <summary>The full path of a file in it, which need not exist.</summary>
    public static string File(string name) => Path.Combine(Folder(Environment.GetEnvironmentVariable), name);

    /// <summary>The folder, by an environment's variables.</summary>
    internal static string Folder(Func<string, string?> environment)
    {
        if (environment(Variable) is { Length: > 0 } named)
        {
            return named;
        }

        if (OperatingSystem.IsWindows())
        {
            return Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.ApplicationData), "nablagen");
        }

        // The XDG specification: a relative path is to be ignored.
        return environment("XDG_CONFIG_HOME") is { Length: > 0 } config && Path.IsPathRooted(config)
            ? Path.Combine(config, "nablagen")
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".config", "nablagen");
    }
}
