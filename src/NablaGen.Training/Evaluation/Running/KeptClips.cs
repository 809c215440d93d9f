using NablaGen.Generation;
using NablaGen.Jobs.Batch;
using NablaGen.Training.Evaluation.Results;
using NablaGen.Video;
using NablaGen.Video.Labels;
using NablaGen.Video.Pictures;
using SixLabors.ImageSharp.PixelFormats;

namespace NablaGen.Training.Evaluation.Running;

/// <summary>Keeps the videos of an evaluation to look at, a folder an attention: as MP4s, or a few frames of each side by side, as PNGs.</summary>
/// <param name="folder">The evaluation's folder; they go into its folders videos and strips.</param>
/// <param name="videos">Whether MP4s are written, which takes an ffmpeg.</param>
/// <param name="strips">Whether strips are written.</param>
public sealed class KeptClips(string folder, bool videos, bool strips)
{
    private const int FramesAStrip = 6, StripHeight = 128, Gap = 2, Line = 18, FontSize = 12;

    /// <summary>Sees before the work that the files can be written.</summary>
    /// <param name="cancellation">Stops the check.</param>
    /// <exception cref="NablaGenException">They cannot; the line says why.</exception>
    public void Check(CancellationToken cancellation = default)
    {
        if (videos)
        {
            Mp4Writer.CheckTarget(Path.Combine(folder, "videos", "dense", "check.mp4"), cancellation: cancellation);
        }
    }

    /// <summary>Keeps a video under the number of its prompt in the suite.</summary>
    /// <exception cref="NablaGenException">A file cannot be written.</exception>
    public void Save(EvaluationRow row, FrameBytes clip)
    {
        var recipe = row.Recipe;
        int number = EvaluationSuite.NumberOf(recipe.Prompt);
        string attention = string.Join('-', recipe.Attention.Split(Path.GetInvalidFileNameChars()));
        string name = Path.Combine(attention, RowName.Of(number, recipe.Prompt, recipe.Seed));
        if (videos)
        {
            SaveVideo(Path.Combine(folder, "videos", name + ".mp4"), recipe, clip);
        }

        if (strips)
        {
            SaveStrip(Path.Combine(folder, "strips", name + ".png"), row, clip);
        }
    }

    private static void SaveVideo(string path, Recipe recipe, FrameBytes clip)
    {
        var tags = new Dictionary<string, string> { ["title"] = recipe.Prompt, ["comment"] = recipe.ToJson() };
        using var mp4 = Mp4Writer.Open(path, clip.Width, clip.Height, recipe.Fps, tags);
        for (int t = 0; t < clip.Frames; t++)
        {
            mp4.WriteFrame(clip.Interleaved(t));
        }

        mp4.Complete();
    }

    // Frames evenly over the clip; below them the prompt and what is wrong.
    private static void SaveStrip(string path, EvaluationRow row, FrameBytes clip)
    {
        int count = Math.Min(FramesAStrip, clip.Frames), width = Math.Max(1, clip.Width * StripHeight / clip.Height);
        string wrong = string.Join("; ", row.Attributes.Where(one => !one.Right).Select(one => $"{one.Attribute} {one.Expected}, found {one.Found}"));
        string[] lines = [row.Recipe.Prompt, row.Success ? "right" : wrong];
        using var strip = new RgbImage(
            Math.Max((count * (width + Gap)) - Gap, lines.Max(line => LabelFont.Width(line, FontSize)) + 8), StripHeight + (2 * Line), new Rgb24(255, 255, 255));
        for (int i = 0; i < count; i++)
        {
            using var frame = RgbImage.Of(clip.Width, clip.Height, clip.Interleaved(count == 1 ? 0 : i * (clip.Frames - 1) / (count - 1)));
            strip.Place(frame, i * (width + Gap), 0, width, StripHeight);
        }

        strip.Text(lines[0], 4, StripHeight + 13, FontSize, new Rgb24(0, 0, 0));
        strip.Text(lines[1], 4, StripHeight + Line + 13, FontSize, row.Success ? new Rgb24(30, 110, 40) : new Rgb24(180, 30, 30));
        PictureFile.SavePng(path, strip.Width, strip.Height, strip.ToRgb24(), new Dictionary<string, string> { ["Comment"] = row.Recipe.ToJson() });
    }
}
