using NablaGen.Models;

namespace NablaGen.Memory;

/// <summary>What a generation needs, stage by stage, in bytes: all that the planner knows of models and videos. Decoding alone has
/// nothing of text encoder and transformer.</summary>
public sealed record MemoryNeeds
{
    /// <summary>What the device's runtime and libraries hold at all times.</summary>
    public long Runtime { get; init; }

    /// <summary>The text encoder's weights.</summary>
    public long TextEncoderWeights { get; init; }

    /// <summary>What encoding the longest prompt takes in addition to them.</summary>
    public long TextEncoderWork { get; init; }

    /// <summary>The ways to read pictures, the fastest first, weights included; none where there are no pictures.</summary>
    public IReadOnlyList<VaeChoice> Pictures { get; init; } = [];

    /// <summary>The transformer's weights outside its layers.</summary>
    public long DitWeights { get; init; }

    /// <summary>The weights of one layer.</summary>
    public long LayerWeights { get; init; }

    /// <summary>The weights of one streamed layer, in its slot and in the host's memory; more where layers on the device stay as stored. 0 for the same.</summary>
    public long StreamedLayerWeights { get; init; }

    /// <summary>The transformer's layers that may be streamed.</summary>
    public int Layers { get; init; }

    /// <summary>Layers that never are; their weights are in <see cref="DitWeights"/>.</summary>
    public int FixedLayers { get; init; }

    /// <summary>What a pass through the transformer takes beside the weights.</summary>
    public long DitWork { get; init; }

    /// <summary>How many transformers of these sizes take turns: 2 where a model has experts, of which one works at a time.</summary>
    public int Experts { get; init; } = 1;

    /// <summary>What the prompts' keys and values take, if they are kept from step to step, and what the passes with and without the prompt share.</summary>
    public long PromptMemory { get; init; }

    /// <summary>What the prompts' encodings take of the host's memory until their videos are made.</summary>
    public long Encodings { get; init; }

    /// <summary>The VAE's weights.</summary>
    public required long VaeWeights { get; init; }

    /// <summary>The ways to decode, the fastest first.</summary>
    public required IReadOnlyList<VaeChoice> Vae { get; init; }

    /// <summary>The weights of a streamed layer.</summary>
    public long SlotWeights => StreamedLayerWeights > 0 ? StreamedLayerWeights : LayerWeights;

    /// <summary>The transformer's weights.</summary>
    public long AllDitWeights => DitWeights + LayerWeights * Layers;

    /// <summary>The least that reading pictures takes; 0 where there are none.</summary>
    internal long LeastPictures => Pictures.Select(choice => choice.Bytes).DefaultIfEmpty(0).Min();

    /// <summary>The larger of each need of two videos made with one model.</summary>
    public MemoryNeeds Max(MemoryNeeds other) => this with
    {
        TextEncoderWork = Math.Max(TextEncoderWork, other.TextEncoderWork),
        Pictures = Pictures.Count == 0 ? other.Pictures : other.Pictures.Count == 0 ? Pictures : Larger(Pictures, other.Pictures),
        DitWork = Math.Max(DitWork, other.DitWork),
        PromptMemory = Math.Max(PromptMemory, other.PromptMemory),
        Vae = Larger(Vae, other.Vae),
    };

    private static IReadOnlyList<VaeChoice> Larger(IReadOnlyList<VaeChoice> some, IReadOnlyList<VaeChoice> others) =>
        [.. some.Zip(others, (a, b) => a with { Bytes = Math.Max(a.Bytes, b.Bytes), HostBytes = Math.Max(a.HostBytes, b.HostBytes) })];
}

/// <summary>One way to decode, and what it takes beside the weights; or to encode pictures, with them.</summary>
/// <param name="Tiling">Its tiles and frames at once.</param>
/// <param name="Bytes">Memory at its peak.</param>
/// <param name="HostBytes">Of these and beside them, the host's memory: for a device's tiles, which are put together there, or the video to encode.</param>
public sealed record VaeChoice(VaeTiling Tiling, long Bytes, long HostBytes = 0)
{
    /// <summary>The name of a decoding without tiles.</summary>
    public const string WholeFrames = "whole frames";

    /// <summary>Its name for the user, after "in".</summary>
    public string Name => Tiling.Height == 0 && Tiling.Width == 0 ? WholeFrames : $"tiles of {Tiling.Width}x{Tiling.Height}";
}
