using NablaGen.Models;

namespace NablaGen.Generation.Conditioning;

/// <summary>What is told to a model.</summary>
internal static class Conditioners
{
    /// <summary>The conditioners of a model, in the order in which they work.</summary>
    public static IReadOnlyList<IConditioner> Of(VideoModel model) => [new TextConditioner(model), new PictureConditioner(model)];
}
