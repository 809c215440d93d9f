namespace NablaGen.Training.Evaluation;

/// <summary>How well an object keeps the outline of its shape, over all frames of a clip.</summary>
/// <param name="Share">The part of the frames whose outline fits: at most 2% of the shape's area is wrong, and 0.3 over its radius in pixels.</param>
/// <param name="Worst">The part of the shape's area that is wrong in the worst frame; 1 where the object is missing.</param>
/// <param name="WorstFrame">Which frame that is, from 0.</param>
public sealed record OutlineQuality(double Share, double Worst, int WorstFrame);
