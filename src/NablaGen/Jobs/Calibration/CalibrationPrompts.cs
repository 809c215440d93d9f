namespace NablaGen.Jobs.Calibration;

/// <summary>Prompts to calibrate on where the user names none: plain things in motion, which the model in the box and Wan2.1 both know.</summary>
public static class CalibrationPrompts
{
    /// <summary>The prompts.</summary>
    public static IReadOnlyList<string> Default { get; } =
    [
        "a red ball drifts from left to right",
        "a large blue square falls down",
        "a small yellow star spins and a green ring rises",
    ];
}
