using NablaGen.Files;
using NablaGen.Generation;
using NablaGen.Models;
using NablaGen.Video;

namespace NablaGen.Jobs.Masks;

/// <summary>What <c>--masks</c> writes: a page (<c>.html</c>) or a contact sheet (<c>.png</c>).</summary>
public static class MaskFile
{
    /// <summary>The name of the page beside a video: <c>a.mp4</c> → <c>a.masks.html</c>.</summary>
    public static string PathBeside(string video) => Path.ChangeExtension(video, ".masks.html");

    /// <summary>The most masks that a file of this name takes.</summary>
    /// <exception cref="InvalidRequestException">The name ends in neither .html nor .png.</exception>
    public static int MostIn(string path) => IsSheet(path) ? MaskPlan.MostOnSheet : MaskPlan.MostOnPage;

    /// <summary>Sees before the work that the file can be written, and the video's frames be read.</summary>
    /// <param name="path">The file.</param>
    /// <param name="video">The video's name.</param>
    /// <exception cref="InvalidRequestException">The name ends in neither .html nor .png.</exception>
    /// <exception cref="NablaGenException">Nothing can be written there, or ffprobe is missing.</exception>
    public static void Check(string path, string video)
    {
        OutputFile.Prepare(path, IsSheet(path) ? ".png" : ".html");
        if (!Path.GetExtension(video).Equals(".png", StringComparison.OrdinalIgnoreCase))
        {
            FfmpegTools.Find().NeedFfprobe();
        }
    }

    /// <summary>Writes the file, aside first.</summary>
    /// <param name="path">The file.</param>
    /// <param name="masks">What was recorded.</param>
    /// <param name="model">The model.</param>
    /// <param name="video">The finished video.</param>
    /// <param name="recipe">What it was made with.</param>
    /// <param name="cancellation">Stops the work.</param>
    /// <exception cref="NablaGenException">The video cannot be read, or the file cannot be written.</exception>
    public static void Save(string path, RecordedMasks masks, VideoModel model, string video, Recipe recipe, CancellationToken cancellation = default)
    {
        var geometry = new BlockGeometry(masks.Plan.Layout, model.Transformer, model.Latents);
        if (IsSheet(path))
        {
            MaskSheet.Save(path, masks, geometry, video, recipe, cancellation);
        }
        else
        {
            MaskPage.Save(path, masks, geometry, video, recipe, (model.Transformer.Layers, model.Transformer.Heads), cancellation);
        }
    }

    private static bool IsSheet(string path) => Path.GetExtension(path).ToLowerInvariant() switch
    {
        ".html" => false,
        ".png" => true,
        _ => throw new InvalidRequestException($"{path}: the name of the masks must end in .html or .png"),
    };
}
