using NablaGen.Video;
using NablaGen.Video.Pictures;
using static TorchSharp.torch;

namespace NablaGen.Training.Runs;

/// <summary>Clips as one picture: a row a clip, a few of its frames from left to right.</summary>
public static class ClipSheet
{
    private const int Gap = 2;

    /// <summary>Puts clips of one size together.</summary>
    /// <param name="clips">[3, T, H, W] in [−1, 1], on the CPU.</param>
    /// <param name="columns">Frames a row, evenly spaced, the first and the last among them.</param>
    /// <returns>[3, 1, rows, columns of pixels], white between the frames.</returns>
    public static Tensor Compose(IReadOnlyList<Tensor> clips, int columns)
    {
        using var scope = NewDisposeScope();
        var frames = (int)clips[0].shape[1];
        columns = Math.Min(columns, frames);
        var rows = clips.Select(clip => cat([.. Enumerable.Range(0, columns).Select(i =>
            nn.functional.pad(clip.select(1, columns == 1 ? 0 : (int)Math.Round(i * (frames - 1.0) / (columns - 1))).to_type(ScalarType.Float32),
                [0, Gap, 0, Gap], value: 1))], 2));
        return cat([.. rows], 1).unsqueeze(1).MoveToOuterDisposeScope();
    }

    /// <summary>Writes a picture as a PNG.</summary>
    /// <param name="path">The PNG.</param>
    /// <param name="picture">[3, 1, H, W]</param>
    /// <exception cref="NablaGenException">It cannot be written.</exception>
    public static void Save(string path, Tensor picture) =>
        FrameConversion.ForEachFrame(picture, rgb => PictureFile.SavePng(path, (int)picture.shape[3], (int)picture.shape[2], rgb));
}
