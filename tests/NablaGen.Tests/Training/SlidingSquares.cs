using NablaGen.Training.World;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tests.Training;

/// <summary>The smallest world: a red, green or blue square that slides to the right over grey, above or below.</summary>
/// <param name="clips">How many there are; then they come again.</param>
internal sealed class SlidingSquares(int clips = 6) : IClipSource
{
    private static readonly string[] Colours = ["red", "green", "blue"];

    public string CaptionAt(long index, int wording) =>
        $"{(wording == 0 ? "a" : "the")} {Colours[index % clips % 3]} square {(index % clips % 2 == 0 ? "above" : "below")}";

    public ClipBatch Next(long firstIndex, int count, ClipSize size, torch.Device device)
    {
        using var scope = NewDisposeScope();
        var frames = full([count, 3, size.Frames, size.Height, size.Width], -0.4f, ScalarType.Float32);
        var captions = new string[count];
        for (var i = 0; i < count; i++)
        {
            var clip = (int)((firstIndex + i) % clips);
            var (colour, top) = (clip % 3, clip % 2 * size.Height / 2);
            for (var t = 0; t < size.Frames; t++)
            {
                var left = t * (size.Width / 2) / Math.Max(1, size.Frames - 1);
                frames[i, .., t, top..(top + size.Height / 2), left..(left + size.Width / 2)] = -1;
                frames[i, colour, t, top..(top + size.Height / 2), left..(left + size.Width / 2)] = 1;
            }

            captions[i] = CaptionAt(clip, 0);
        }

        return new ClipBatch(frames.to(device).MoveToOuterDisposeScope(), captions);
    }
}
