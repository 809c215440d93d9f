using NablaGen.Files;
using static TorchSharp.torch;

namespace NablaGen.Generation;

/// <summary>A run's latents between sampling and the video: saved, so that whatever happens to the video, sampling is not lost.</summary>
/// <param name="path">Where they are to go; null for nowhere.</param>
/// <param name="latents">[C, T', h, w]</param>
/// <param name="recipe">What made them.</param>
/// <param name="clock">Is told what goes wrong.</param>
internal sealed class KeptLatents(string? path, Tensor latents, Recipe recipe, StageClock clock)
{
    /// <summary>Where they are; null where they are nowhere.</summary>
    public string? Path { get; private set; }

    /// <summary>Saves them. Where that fails, the video is made all the same.</summary>
    public void Save()
    {
        if (path is null)
        {
            return;
        }

        try
        {
            LatentFile.Save(path, latents, recipe);
            Path = path;
        }
        catch (NablaGenException error)
        {
            clock.Note($"the latents are not saved ({Line.Of(error.Message)}); the video is made without");
        }
    }

    /// <summary>
    /// The video could not be made: puts latents that could not be saved, or that somebody has deleted since, into the temporary folder.
    /// </summary>
    public void SaveElsewhere()
    {
        if (path is null || File.Exists(Path))
        {
            return;
        }

        var other = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"nablagen-{ProcessIdentity.Token}.latents.safetensors");
        try
        {
            LatentFile.Save(other, latents, recipe);
            Path = other;
            clock.Note($"the latents are in {other}, this makes their video: nablagen decode {other}");
        }
        catch (NablaGenException)
        {
            // There is no room there either: what the run fails with says more.
        }
    }
}
