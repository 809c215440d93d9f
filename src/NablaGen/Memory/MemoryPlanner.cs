using NablaGen.Models.Streaming;

namespace NablaGen.Memory;

/// <summary>
/// Decides what is kept where, so that a generation fits into the device's memory at the least cost. A pure function of needs and budget.
/// </summary>
/// <remarks>
/// In order of cost: all models stay; the transformer is freed before the VAE is loaded; the VAE encodes pictures and decodes in tiles; the text encoder runs on the
/// CPU; layers of the transformer are streamed from the host's memory, as few as possible.
/// </remarks>
public static class MemoryPlanner
{
    /// <summary>The share of the budget that a plan leaves free, because estimates are that uncertain (docs/memory.md).</summary>
    public const double Margin = 0.05;

    /// <summary>Slots for streamed layers: one computes, one is filled.</summary>
    public const int Slots = LayerPlacement.DefaultSlots;

    // Pinned memory cannot be paged out, and the rest of the system needs memory too.
    private const double MostOfHost = 0.9;

    /// <summary>The cheapest plan that fits; null if none does.</summary>
    /// <param name="needs">What the stages take.</param>
    /// <param name="budget">What there is.</param>
    /// <param name="keepLoaded">Whether the models are to stay for the next video, if they can.</param>
    /// <param name="parts">GPUs that may hold the transformer's layers together, a part of each layer each, rather than stream them from the host's memory.</param>
    public static MemoryPlan? Plan(MemoryNeeds needs, MemoryBudget budget, bool keepLoaded, int parts = 1)
    {
        var room = Room(budget) - needs.Runtime;
        var resident = Resident(needs, room);
        var shared = resident == needs.Layers ? -1 : ResidentOfParts(needs, room, parts);
        (resident, parts) = shared >= 0 ? (shared, parts) : (resident, 1);
        var hostRoom = (long)(budget.Host * MostOfHost) - needs.Encodings;
        var vae = needs.Vae.FirstOrDefault(choice => needs.VaeWeights + choice.Bytes <= room && choice.HostBytes <= hostRoom);
        var pictures = needs.Pictures.FirstOrDefault(choice => choice.Bytes <= room && choice.HostBytes <= hostRoom);
        if (resident < 0 || vae is null || (pictures is null && needs.Pictures.Count > 0))
        {
            return null;
        }

        var isAllResident = resident == needs.Layers;
        // Computing them again each step costs next to nothing, so they are never kept at the price of a streamed layer.
        var keepsPrompt = isAllResident && needs.AllDitWeights + needs.DitWork + needs.PromptMemory <= room;
        var ditWork = needs.DitWork + (keepsPrompt ? needs.PromptMemory : 0);
        // Of two experts only one works at a time: the other one stays where there is room.
        var keepsExperts = needs.Experts > 1 && isAllResident && needs.Experts * needs.AllDitWeights + ditWork <= room;
        var both = needs.Experts * needs.AllDitWeights + needs.VaeWeights;
        var keepsBoth = keepLoaded && isAllResident && vae == needs.Vae[0] && both + Math.Max(ditWork, vae.Bytes) <= room;
        var text = needs.TextEncoderWeights + needs.TextEncoderWork;
        var isTextOnDevice = text <= room;
        var keepsAll = keepsBoth && Math.Max(text, pictures?.Bytes ?? 0) + both <= room;
        // A layer that is shared out is read whole, one after another.
        var streamed = (parts > 1 ? 1 : needs.Layers - resident) * needs.SlotWeights;
        var host = Math.Max(Math.Max(streamed, isTextOnDevice ? 0 : text), Math.Max(pictures?.HostBytes ?? 0, vae.HostBytes));
        if (host > hostRoom)
        {
            return null;
        }

        var slots = isAllResident ? 0 : Slots;
        var dit = needs.DitWeights + resident * needs.LayerWeights + slots * needs.SlotWeights + (parts > 1 ? (needs.Layers - resident) * Part(needs, parts) : 0);
        var peaks = new Dictionary<GenerationStage, long>();
        if (isTextOnDevice)
        {
            peaks[GenerationStage.EncodeText] = needs.Runtime + text + (keepsAll ? both : 0);
        }

        if (pictures is not null)
        {
            peaks[GenerationStage.EncodeImage] = needs.Runtime + pictures.Bytes + (keepsAll ? both : 0);
        }

        var dits = keepsExperts ? needs.Experts * dit : dit;
        peaks[GenerationStage.Sample] = needs.Runtime + dits + ditWork + (keepsBoth ? needs.VaeWeights : 0);
        peaks[GenerationStage.Decode] = needs.Runtime + needs.VaeWeights + vae.Bytes + (keepsBoth ? dits : 0);
        return new MemoryPlan
        {
            Budget = budget.Device,
            IsTextEncoderOnDevice = isTextOnDevice,
            Layers = needs.Layers,
            ResidentLayers = resident,
            FixedLayers = needs.FixedLayers,
            Slots = slots,
            Parts = parts,
            KeepsBoth = keepsBoth,
            KeepsAll = keepsAll,
            KeepsPrompt = keepsPrompt,
            Experts = needs.Experts,
            KeepsExperts = keepsExperts,
            Pictures = pictures,
            Vae = vae,
            Peaks = peaks,
            HostBytes = host + needs.Encodings,
        };
    }

    /// <summary>The smallest device budget for which there is a plan (if the host's memory holds what is streamed).</summary>
    public static long LeastBudget(MemoryNeeds needs)
    {
        var slots = Math.Min(Slots, needs.Layers);
        var sample = needs.DitWeights + Math.Min(slots * needs.SlotWeights, needs.Layers * needs.LayerWeights) + needs.DitWork;
        var decode = needs.VaeWeights + needs.Vae.Min(choice => choice.Bytes);
        return (long)Math.Ceiling((needs.Runtime + Math.Max(needs.LeastPictures, Math.Max(sample, decode))) / (1 - Margin));
    }

    private static long Part(MemoryNeeds needs, int parts) => (needs.SlotWeights + parts - 1) / parts;

    // How many layers can stay whole where the others are shared out; −1 if the parts do not fit.
    private static int ResidentOfParts(MemoryNeeds needs, long room, int parts)
    {
        var part = Part(needs, parts);
        var left = room - needs.DitWeights - needs.DitWork - Slots * needs.SlotWeights - needs.Layers * part;
        return parts == 1 || left < 0 ? -1 : (int)Math.Min(left / Math.Max(needs.LayerWeights - part, 1), needs.Layers - 1);
    }

    private static long Room(MemoryBudget budget) => (long)(budget.Device * (1 - Margin));

    // How many layers can stay; all, or as many as leave room for the slots; −1 if not even the slots fit.
    private static int Resident(MemoryNeeds needs, long room)
    {
        var left = room - needs.DitWeights - needs.DitWork;
        if (needs.LayerWeights * needs.Layers <= left)
        {
            return needs.Layers;
        }

        var resident = left < Slots * needs.SlotWeights ? -1 : (left - Slots * needs.SlotWeights) / Math.Max(needs.LayerWeights, 1);
        return (int)Math.Clamp(resident, -1, needs.Layers - 1);
    }
}

/// <summary>The memory that a plan may use.</summary>
/// <param name="Device">Bytes on the device, those in use by this process included.</param>
/// <param name="Host">Bytes of the host's memory.</param>
public sealed record MemoryBudget(long Device, long Host);
