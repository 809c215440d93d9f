namespace NablaGen.Models.Streaming;

/// <summary>How many of a transformer's layers stay on the device, and through how many slots the others are streamed.</summary>
/// <param name="Resident">Layers that stay on the device, spread evenly, so that there is always time to fetch the next of the others.</param>
/// <param name="Slots">Slots on the device for the others; 2 or more, so that one is filled while another is used. 0 where all stay.</param>
public sealed record LayerPlacement(int Resident, int Slots)
{
    /// <summary>Slots for streamed layers: one computes, one is filled.</summary>
    public const int DefaultSlots = 2;

    /// <summary>Who holds the other layers together, on their devices; null where each process has them in its host's memory.</summary>
    public ILayerSharing? Sharing { get; init; }

    /// <summary>Whether a layer stays on the device.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="resident">How many stay.</param>
    /// <param name="count">How many there are.</param>
    public static bool IsResident(int layer, int resident, int count) =>
        (long)(layer + 1) * resident / count > (long)layer * resident / count;
}
