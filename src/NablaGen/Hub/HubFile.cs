namespace NablaGen.Hub;

/// <summary>A file of a repository, at one commit.</summary>
/// <param name="Repository">The repository's name, <c>owner/name</c>.</param>
/// <param name="Commit">The commit.</param>
/// <param name="Path">Its path in the repository, with slashes.</param>
/// <param name="Size">Its bytes.</param>
/// <param name="Hash">What its bytes hash to.</param>
internal sealed record HubFile(string Repository, string Commit, string Path, long Size, ContentHash Hash)
{
    /// <summary>Where it goes below a folder, with slashes; safe as such a path once <see cref="HubPath"/> has checked it.</summary>
    public string Local { get; init; } = Path;

    /// <summary>Its path on this machine.</summary>
    /// <param name="folder">The folder that the files go to.</param>
    public string In(string folder) => System.IO.Path.GetFullPath(System.IO.Path.Combine(folder, Local.Replace('/', System.IO.Path.DirectorySeparatorChar)));
}

/// <summary>A repository, at one commit.</summary>
/// <param name="Name">Its name, <c>owner/name</c>.</param>
/// <param name="Commit">The commit.</param>
/// <param name="Licence">The licence that its page states; null where it states none.</param>
/// <param name="Files">Its files.</param>
internal sealed record HubRepository(string Name, string Commit, string? Licence, IReadOnlyList<HubFile> Files);

/// <summary>A file is not as the hub's listing says.</summary>
/// <param name="file">The file.</param>
/// <param name="fault">What is not so, without a sign at its end.</param>
internal sealed class UntrueListingException(HubFile file, string fault)
    : NablaGenException($"{file.Repository}: {file.Path}: {fault}: nothing of it is kept.")
{
    /// <summary>The file.</summary>
    public HubFile File => file;
}
