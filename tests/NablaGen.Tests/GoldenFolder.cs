namespace NablaGen.Tests;

/// <summary>Where the reference's outputs are: the folder NABLAGEN_GOLDENS, or the repository's tests/Goldens.</summary>
internal static class GoldenFolder
{
    /// <summary>The folder's path.</summary>
    public static string Path { get; } = Find();

    private static string Find()
    {
        if (Environment.GetEnvironmentVariable("NABLAGEN_GOLDENS") is { Length: > 0 } named)
        {
            return Directory.Exists(named) ? named : throw new DirectoryNotFoundException($"NABLAGEN_GOLDENS names no folder: {named}");
        }

        foreach (var start in new[] { AppContext.BaseDirectory, Directory.GetCurrentDirectory() })
        {
            for (var folder = new DirectoryInfo(start); folder is not null; folder = folder.Parent)
            {
                var goldens = System.IO.Path.Combine(folder.FullName, "tests", "Goldens");
                if (Directory.Exists(goldens))
                {
                    return goldens;
                }
            }
        }

        throw new DirectoryNotFoundException("No tests/Goldens above the tests' program or the current folder; name it in NABLAGEN_GOLDENS.");
    }
}
