namespace NablaGen.Training.World;

/// <summary>A slow move of the camera over the whole clip.</summary>
/// <param name="PanX">How far it goes to the right, in half sides.</param>
/// <param name="PanY">How far it goes down, in half sides.</param>
/// <param name="Zoom">The size of things at the end over that at the start.</param>
public readonly record struct CameraDrift(double PanX, double PanY, double Zoom)
{
    /// <summary>A camera that stands still.</summary>
    public static CameraDrift None => new(0, 0, 1);
}
