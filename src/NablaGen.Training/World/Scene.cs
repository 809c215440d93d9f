namespace NablaGen.Training.World;

/// <summary>What one clip shows.</summary>
/// <param name="Objects">One or two objects; they never touch.</param>
/// <param name="Arrangement">How two objects lie to each other; null for one.</param>
/// <param name="Backdrop">What is behind them.</param>
/// <param name="Camera">How the camera moves.</param>
/// <param name="BackdropSeed">Decides the backdrop's details: its clouds, stars, hills and brightness.</param>
public sealed record Scene(
    IReadOnlyList<SceneObject> Objects, Arrangement? Arrangement, Backdrop Backdrop, CameraDrift Camera, ulong BackdropSeed)
{
    /// <summary>Whether any of its objects has a combination that training never shows.</summary>
    public bool IsHeldOut => Objects.Any(o => HeldOutRule.IsHeldOut(o.Colour, o.Shape, o.Motion));
}
