namespace NablaGen.Training.World;

/// <summary>
/// The combinations of colour, shape and motion that training never shows, so that what a model makes of them tells whether it
/// combines what it knows.
/// </summary>
/// <remarks>
/// A Latin pattern: (colour + 3 · shape + 7 · motion) mod 8 = 0, 60 of the 480. Each shape with each motion lacks one colour of the
/// eight, each colour with each motion at most one shape of the six, each colour with each shape one or two motions of the ten: every
/// pair is still often in training.
/// </remarks>
public static class HeldOutRule
{
    /// <summary>Whether training never shows this combination.</summary>
    public static bool IsHeldOut(ObjectColour colour, ShapeKind shape, MotionKind motion) =>
        ((int)colour + (3 * (int)shape) + (7 * (int)motion)) % 8 == 0;
}
