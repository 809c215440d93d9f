using NablaGen.Models.Wan.Layouts;

namespace NablaGen.Models.Wan.Converting;

/// <summary>The layout of the authors' own downloads.</summary>
internal sealed class OfficialFolder : IFolderWriter
{
    /// <inheritdoc/>
    public string Name => "official";

    /// <inheritdoc/>
    public IReadOnlyList<string> Formats => ["bf16", "fp16", "fp32", "fp8-scaled"];

    /// <inheritdoc/>
    public IEnumerable<FolderPart> Parts(WanVideoModel model, string format, CancellationToken cancellation)
    {
        // The low-noise expert comes first.
        var transformers = model.OpenTransformers();
        string[] folders = transformers.Count == 1 ? [""] : [OfficialLayout.LowNoiseFolder + "/", OfficialLayout.HighNoiseFolder + "/"];
        foreach (var (folder, open) in folders.Zip(transformers))
        {
            yield return new FolderPart(folder + OfficialLayout.TransformerFile, open, source => PieceTensors.Of(source, format, name => name, cancellation), HasShards: true);
        }

        yield return new FolderPart(OfficialLayout.TextEncoderFile, model.OpenTextEncoder, source => PieceTensors.Of(source, format, name => name, cancellation), HasShards: false);
        yield return new FolderPart(
            model.VaeConfig.HasLevelShortcuts ? OfficialLayout.Vae22File : OfficialLayout.VaeFile, model.OpenVae, source => PieceTensors.AsStored(source, name => name, cancellation), HasShards: false);
        if (model.DitConfig.ImageDim > 0)
        {
            yield return new FolderPart(OfficialLayout.ImageEncoderFile, model.OpenImageTower, source => PieceTensors.AsStored(source, name => "visual." + name, cancellation), HasShards: false);
        }
    }

    /// <inheritdoc/>
    public void WriteOthers(WanVideoModel model, string folder)
    {
        var config = TransformerNote.Json(model.DitConfig);
        string[] folders = model.OpenTransformers().Count == 1 ? [""] : [OfficialLayout.LowNoiseFolder, OfficialLayout.HighNoiseFolder];
        foreach (var own in folders)
        {
            FolderFiles.Json(Path.Combine(folder, own, OfficialLayout.ConfigFile), config);
        }

        FolderFiles.Tokenizer(model, Path.Combine(folder, OfficialLayout.TokenizerFile), json: null);
    }
}
