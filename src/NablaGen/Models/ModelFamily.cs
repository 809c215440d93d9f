namespace NablaGen.Models;

/// <summary>A kind of model: knows its layouts on disk and builds its models.</summary>
public abstract class ModelFamily
{
    /// <summary>The family's name, such as "Wan".</summary>
    public abstract string Name { get; }

    /// <summary>Whether a path looks like one of its models, complete or not; looks at file names only.</summary>
    public abstract bool Recognizes(string path);

    /// <summary>Finds the pieces of a model and reads its configuration; of weights, headers at most are opened.</summary>
    /// <param name="path">A folder or a file.</param>
    /// <param name="pieces">Files that take the place of the model's own.</param>
    /// <exception cref="NablaGenException">Pieces are missing (one line names each and where it belongs), or the configuration is wrong.</exception>
    public abstract VideoModel Open(string path, ModelPieces pieces);

    /// <summary>What a file is; null where it is none of the family's.</summary>
    /// <exception cref="NablaGenException">It can't be read.</exception>
    public abstract FileInspection? InspectFile(string path);

    /// <summary>What a folder is: a model's parts, or the files in it.</summary>
    /// <exception cref="NablaGenException">A file can't be read.</exception>
    public abstract PathInspection InspectFolder(string path);

    /// <summary>Its models on a hub that have short names.</summary>
    public abstract IReadOnlyList<ModelDownload> Downloads { get; }

    /// <summary>Which of a repository's files one of its models needs; null where it is in no layout that is known.</summary>
    /// <param name="paths">All paths in the repository.</param>
    public abstract IReadOnlyList<string>? NeededFiles(IReadOnlyList<string> paths);
}
