using NablaGen.Models.Wan;
using NablaGen.Weights;

namespace NablaGen.Models;

/// <summary>The known model families.</summary>
public static class ModelFamilies
{
    /// <summary>All of them. The first one opens what none recognizes, and reports what is missing.</summary>
    public static IReadOnlyList<ModelFamily> All { get; } = [new WanFamily()];

    /// <summary>Opens a model by the family that recognizes it.</summary>
    /// <param name="path">A folder or a file.</param>
    /// <param name="pieces">Files that take the place of the model's own; null for none.</param>
    /// <exception cref="NablaGenException">There is no such folder, or its model is incomplete.</exception>
    public static VideoModel Open(string path, ModelPieces? pieces = null) =>
        !Path.Exists(path)
            ? throw Missing(path)
            : (All.FirstOrDefault(family => family.Recognizes(path)) ?? All[0]).Open(path, pieces ?? ModelPieces.None);

    /// <summary>The error of a model that is not there.</summary>
    internal static NablaGenException Missing(string path) => new(
        path.Length == 0 ? "the model's name is empty: expected a folder or a transformer's file."
        : $"{path}: no such {(TensorSources.IsTensorFile(path) ? "file" : "model folder")}.");
}
