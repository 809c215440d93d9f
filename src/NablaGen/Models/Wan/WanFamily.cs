using NablaGen.Models.Wan.Layouts;

namespace NablaGen.Models.Wan;

/// <summary>Wan's video models: a diffusion transformer with umT5 and a causal VAE.</summary>
public sealed class WanFamily : ModelFamily
{
    /// <inheritdoc/>
    public override string Name => "Wan";

    /// <inheritdoc/>
    public override bool Recognizes(string path) => WanLayouts.All.Any(layout => layout.Recognizes(path));

    /// <inheritdoc/>
    public override VideoModel Open(string path, ModelPieces pieces) => WanVideoModel.Open(path, pieces);

    /// <inheritdoc/>
    public override FileInspection? InspectFile(string path) => WanInspector.InspectFile(path);

    /// <inheritdoc/>
    public override PathInspection InspectFolder(string path) => WanInspector.InspectFolder(path);

    /// <inheritdoc/>
    public override IReadOnlyList<ModelDownload> Downloads => WanDownloads.All;

    /// <inheritdoc/>
    public override IReadOnlyList<string>? NeededFiles(IReadOnlyList<string> paths) => WanDownloads.Needed(paths);
}
