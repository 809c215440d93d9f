using NablaGen.Training.World;

namespace NablaGen.Training.Evaluation;

/// <summary>What a prompt asks of one object; null is anything.</summary>
/// <param name="Colour">Its colour.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="Size">Its size.</param>
/// <param name="Motion">What it does.</param>
/// <param name="Place">Where it is.</param>
public sealed record ObjectExpectation(
    ObjectColour? Colour = null, ShapeKind? Shape = null, ObjectSize? Size = null, MotionKind? Motion = null, Place? Place = null);
