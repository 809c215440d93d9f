using NablaGen.Training.World;

namespace NablaGen.Training.Evaluation;

/// <summary>What was found in a clip, from its pixels alone.</summary>
/// <param name="Objects">The objects seen in at least 60% of the frames, the largest first.</param>
/// <param name="Arrangement">How the first object lies to the second, by the longer way between their mean positions; null unless there are two.</param>
/// <param name="Backdrop">What is behind them; null if it is like none of the world's.</param>
/// <param name="Flicker">
/// How far the backdrop's lightness is from the mean of the frames before and after, root mean square; of 1. Rendered clips have below 0.003.
/// </param>
/// <param name="Ghosts">The largest part of a frame that is as vivid as an object and is none: shreds, trails, objects that come and go.</param>
/// <param name="Blocks">The sharpest upright edge of the backdrop along the borders of tokens, in lightness; of 1.</param>
public sealed record ClipMeasurement(
    IReadOnlyList<MeasuredObject> Objects, Arrangement? Arrangement, Backdrop? Backdrop, double Flicker, double Ghosts, double Blocks);
