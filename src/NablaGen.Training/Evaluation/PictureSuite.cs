using System.Globalization;
using NablaGen.Generation;
using NablaGen.Training.World;
using NablaGen.Video.Pictures;
using static TorchSharp.torch;

namespace NablaGen.Training.Evaluation;

/// <summary>
/// Prompts of the suite with a picture each: the first frame of a scene that shows what the prompt asks. A clip must then show all that the picture
/// shows, named or not, doing what the prompt says.
/// </summary>
public static class PictureSuite
{
    /// <summary>The least PSNR of a clip's first frame to the picture, in dB over the bytes of all three colours.</summary>
    public const double LeastPsnr = 28;

    // A scene's first frame is the same in a clip of any length but one.
    private const int FewestFrames = 2;

    /// <summary>Gives prompts their pictures, and what these add to what is asked.</summary>
    /// <param name="prompts">Prompts of the suite.</param>
    /// <param name="width">Columns of the videos.</param>
    /// <param name="height">Rows of the videos.</param>
    /// <param name="folder">Where the pictures go, as PNGs with the prompts' numbers in the suite; made if it is not there.</param>
    /// <exception cref="NablaGenException">A picture cannot be written.</exception>
    public static IReadOnlyList<EvaluationPrompt> With(IReadOnlyList<EvaluationPrompt> prompts, int width, int height, string folder)
    {
        ArgumentNullException.ThrowIfNull(prompts);
        using var world = new ShapeWorld(WorldSplit.All);
        return [.. prompts.Select(prompt => With(prompt, world, width, height, folder))];
    }

    /// <summary>PSNR of a clip's first frame to a picture of its size, in dB; infinite where they are equal.</summary>
    /// <param name="clip">The clip.</param>
    /// <param name="picture">The picture.</param>
    public static double Psnr(FrameBytes clip, Picture picture)
    {
        ArgumentNullException.ThrowIfNull(clip);
        ArgumentNullException.ThrowIfNull(picture);
        if ((clip.Width, clip.Height) != (picture.Width, picture.Height))
        {
            throw new ArgumentException($"Expected a picture of {clip.Width}x{clip.Height}, found {picture.Width}x{picture.Height}.", nameof(picture));
        }

        var error = clip.Interleaved(0).Zip(picture.Rgb24).Sum(pair => Math.Pow(pair.First - pair.Second, 2));
        return 10 * Math.Log10(255.0 * 255.0 * picture.Rgb24.Length / error);
    }

    private static EvaluationPrompt With(EvaluationPrompt prompt, ShapeWorld world, int width, int height, string folder)
    {
        using var scope = NewDisposeScope();
        var scene = SuiteScenes.Of(prompt);
        var path = Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{EvaluationSuite.NumberOf(prompt.Text):0000}-{width}x{height}.png"));
        // On the CPU, so that every machine tells the same picture.
        var frames = FrameBytes.Of(world.Render([scene], new ClipSize(FewestFrames, height, width), CPU)[0]);
        PictureFile.SavePng(path, width, height, frames.Interleaved(0));
        return prompt with { Expectation = Expectation.Of(scene), Picture = SourcePicture.Open(path) };
    }
}
