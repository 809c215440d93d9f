using NablaGen.Training.World;

namespace NablaGen.Training.Evaluation;

/// <summary>An object found in a clip. A value is null where the measurement fits none.</summary>
/// <param name="Colour">The object colour nearest in hue, in OKLab, to the mean of its pixels over the clip.</param>
/// <param name="Shape">See the remarks of <see cref="ClipScorer"/>.</param>
/// <param name="Size">By the radius of its shape that spreads as its pixels do, the median over the frames; the nearest of the world's by factor.</param>
/// <param name="Motion">See the remarks of <see cref="ClipScorer"/>.</param>
/// <param name="Place">By its mean position: the middle if within 0.18 of half the width and the height, else the side it is nearest to.</param>
/// <param name="X">Its mean position across: −1 left to 1 right.</param>
/// <param name="Y">Its mean position down: −1 top to 1 bottom.</param>
/// <param name="Outline">How well it keeps its shape's outline in every frame.</param>
/// <param name="Jump">The largest jump of its place or area from frame to frame; the world's own motions have at most 1.</param>
public sealed record MeasuredObject(
    ObjectColour Colour, ShapeKind? Shape, ObjectSize Size, MotionKind? Motion, Place Place, double X, double Y, OutlineQuality Outline, double Jump);
