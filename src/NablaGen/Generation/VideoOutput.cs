using NablaGen.Files;
using NablaGen.Video;
using NablaGen.Video.Pictures;
using static TorchSharp.torch;

namespace NablaGen.Generation;

/// <summary>Where a generation's frames go: an MP4, or a PNG when there is one frame; nowhere in a measurement. The recipe goes along.</summary>
internal sealed class VideoOutput : IDisposable
{
    private readonly string? _path;
    private readonly Recipe _recipe;
    private readonly Mp4Writer? _mp4;
    private byte[]? _still;

    private VideoOutput(string? path, Recipe recipe, Mp4Writer? mp4)
    {
        _path = path;
        _recipe = recipe;
        _mp4 = mp4;
    }

    public int FramesWritten { get; private set; }

    /// <summary>Sees that a name is one of a video of so many frames; looks at no file.</summary>
    public static void CheckName(string path, int frames)
    {
        if (!IsStill(path) && !Path.GetExtension(path).Equals(".mp4", StringComparison.OrdinalIgnoreCase))
        {
            throw new InvalidRequestException($"{path}: the name of the output must end in .mp4, or in .png for one frame");
        }

        if (IsStill(path) && frames != 1)
        {
            throw new InvalidRequestException($"{path}: a PNG holds one frame, and {frames} are asked for: name an .mp4, or use --frames 1");
        }
    }

    /// <summary>Sees before the work that the file can be written.</summary>
    public static void Check(string path, int frames, CancellationToken cancellation)
    {
        CheckName(path, frames);
        if (IsStill(path))
        {
            OutputFile.Prepare(path, ".png");
        }
        else
        {
            Mp4Writer.CheckTarget(path, cancellation: cancellation);
        }

        OutputFile.Prepare(ResultFile.PathBeside(path), ".json");
    }

    /// <summary>Opens a file that was checked before; null for none.</summary>
    public static VideoOutput Open(string? path, Recipe recipe, CancellationToken cancellation)
    {
        var tags = new Dictionary<string, string> { ["title"] = recipe.Prompt, ["comment"] = recipe.ToJson() };
        return new VideoOutput(path, recipe, path is null || IsStill(path)
            ? null
            : Mp4Writer.Open(path, recipe.Width, recipe.Height, recipe.Fps, tags, cancellation: cancellation));
    }

    /// <summary>Takes the next frames. [3, n, H, W] in [−1, 1]</summary>
    public void Write(Tensor frames) => FrameConversion.ForEachFrame(frames, frame =>
    {
        if (_mp4 is null)
        {
            _still = frame.ToArray();
        }
        else
        {
            _mp4.WriteFrame(frame);
        }

        FramesWritten++;
    });

    /// <summary>Finishes the file under its final name.</summary>
    public void Complete()
    {
        if (_mp4 is not null)
        {
            _mp4.Complete();
        }
        else if (_path is not null)
        {
            PictureFile.SavePng(_path, _recipe.Width, _recipe.Height, _still,
                new Dictionary<string, string> { ["Title"] = _recipe.Prompt, ["Comment"] = _recipe.ToJson() });
        }
    }

    public void Dispose() => _mp4?.Dispose();

    private static bool IsStill(string path) => Path.GetExtension(path).Equals(".png", StringComparison.OrdinalIgnoreCase);
}
