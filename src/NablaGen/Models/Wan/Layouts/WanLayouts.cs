namespace NablaGen.Models.Wan.Layouts;

/// <summary>The layouts in which a Wan model may be stored on disk.</summary>
internal static class WanLayouts
{
    /// <summary>All of them. The first one opens what none recognizes, and reports what is missing.</summary>
    public static IReadOnlyList<IWanLayout> All { get; } = [new OfficialLayout(), new DiffusersLayout()];

    /// <summary>Finds a model's pieces by the layout that recognizes them.</summary>
    /// <exception cref="NablaGenException">There is no such folder, or pieces are missing.</exception>
    public static WanFiles Find(string path)
    {
        if (!Directory.Exists(path))
        {
            throw new NablaGenException(
                File.Exists(path) ? $"{path}: expected a model folder, found a file." : $"{path}: no such model folder.");
        }

        return (All.FirstOrDefault(layout => layout.Recognizes(path)) ?? All[0]).Find(path);
    }
}
