using TorchSharp;

namespace NablaGen.Training.World;

/// <summary>Captioned clips by number: the same index gives the same clip on every machine.</summary>
public interface IClipSource
{
    /// <summary>The clips <paramref name="firstIndex"/>, <paramref name="firstIndex"/> + 1, … with a caption each.</summary>
    /// <param name="firstIndex">The first clip's number, at least 0.</param>
    /// <param name="count">How many clips, at least 1.</param>
    /// <param name="size">Their size; the same index shows the same scene at every size.</param>
    /// <param name="device">Where the clips are rendered and stay.</param>
    /// <returns>[B, 3, T, H, W] float32 in [−1, 1]; the caller disposes of it.</returns>
    /// <exception cref="ArgumentOutOfRangeException">An index below 0, no clips, or a side below 1.</exception>
    ClipBatch Next(long firstIndex, int count, ClipSize size, torch.Device device);

    /// <summary>A clip's caption: that of <see cref="Next"/> at wording 0, further ways to say it from 1.</summary>
    /// <param name="index">The clip's number, at least 0.</param>
    /// <param name="wording">Which wording, at least 0.</param>
    /// <exception cref="ArgumentOutOfRangeException">An index or a wording below 0.</exception>
    string CaptionAt(long index, int wording);
}
