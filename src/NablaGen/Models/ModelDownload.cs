namespace NablaGen.Models;

/// <summary>A model under a short name that <c>nablagen download</c> knows.</summary>
/// <param name="Name">The short name.</param>
/// <param name="About">What it is, in a few words.</param>
/// <param name="Licence">Its licence.</param>
/// <param name="Sources">Where its files are.</param>
public sealed record ModelDownload(string Name, string About, string Licence, IReadOnlyList<DownloadSource> Sources);

/// <summary>A repository on a hub and what is taken from it.</summary>
/// <param name="Repository">Its name, <c>owner/name</c>.</param>
/// <param name="Files">Paths in it and below the model's folder, where the files are known; empty for what a model of the repository's layout needs.</param>
public sealed record DownloadSource(string Repository, IReadOnlyDictionary<string, string> Files);
