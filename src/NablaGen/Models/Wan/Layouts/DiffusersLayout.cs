namespace NablaGen.Models.Wan.Layouts;

/// <summary>The layout of the Diffusers library, which is recognized and not read yet.</summary>
internal sealed class DiffusersLayout : IWanLayout
{
    /// <inheritdoc/>
    public bool Recognizes(string path) =>
        File.Exists(Path.Combine(path, "model_index.json"))
        || (Directory.Exists(Path.Combine(path, "transformer")) && Directory.Exists(Path.Combine(path, "vae")));

    /// <inheritdoc/>
    public WanFiles Find(string path) => throw new NablaGenException(
        $"{path}: is in the Diffusers layout (model_index.json, transformer/, vae/): "
        + $"expected the official layout, with {OfficialLayout.TransformerFile} and {OfficialLayout.ConfigFile} in the folder itself. "
        + "Download the repository without \"-Diffusers\" in its name.");
}
