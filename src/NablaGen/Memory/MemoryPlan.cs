using NablaGen.Models.Streaming;

namespace NablaGen.Memory;

/// <summary>What is kept where during a generation, and how much memory that takes at most.</summary>
public sealed record MemoryPlan
{
    /// <summary>The memory it may take, in bytes.</summary>
    public required long Budget { get; init; }

    /// <summary>Whether the text encoder is on the device; otherwise it runs on the CPU. It is freed before the transformer is loaded.</summary>
    public required bool IsTextEncoderOnDevice { get; init; }

    /// <summary>The transformer's layers that may be streamed.</summary>
    public required int Layers { get; init; }

    /// <summary>The layers that stay on the device; the others are streamed from the host's memory.</summary>
    public required int ResidentLayers { get; init; }

    /// <summary>Slots on the device for streamed layers; 0 where all stay.</summary>
    public required int Slots { get; init; }

    /// <summary>Whether transformer and VAE may be on the device at once, from one video to the next.</summary>
    public required bool KeepsBoth { get; init; }

    /// <summary>Whether the text encoder may be loaded beside both; otherwise they are freed before it is loaded again.</summary>
    public required bool KeepsAll { get; init; }

    /// <summary>Whether the prompt's keys and values of all layers are kept from step to step.</summary>
    public bool KeepsPrompt { get; init; }

    /// <summary>Transformers that take turns: 2 where the model has experts.</summary>
    public int Experts { get; init; } = 1;

    /// <summary>Whether all experts stay in memory; otherwise each takes the other's place when its turn comes, once a video.</summary>
    public bool KeepsExperts { get; init; }

    /// <summary>How pictures are encoded; null where there are none.</summary>
    public VaeChoice? Pictures { get; init; }

    /// <summary>How the VAE decodes.</summary>
    public required VaeChoice Vae { get; init; }

    /// <summary>The expected peak of each stage that needs the device, in bytes.</summary>
    public required IReadOnlyDictionary<GenerationStage, long> Peaks { get; init; }

    /// <summary>The host's memory that the weights of streamed layers, a text encoder on the CPU or gathered tiles take at a time, and the prompts' encodings.</summary>
    public required long HostBytes { get; init; }

    /// <summary>The longest that sampling should take; null where nothing was measured on such a device.</summary>
    public TimeSpan? SamplingTime { get; init; }

    /// <summary>Whether both guidance passes go through the transformer as one batch.</summary>
    public bool BatchesGuidance { get; init; }

    /// <summary>Layers that stay on the device beside these, whatever the memory.</summary>
    public int FixedLayers { get; init; }

    /// <summary>GPUs that hold the streamed layers together, a part of each layer each; 1 where they are in the host's memory.</summary>
    public int Parts { get; init; } = 1;

    /// <summary>Streamed layers.</summary>
    public int StreamedLayers => Layers - ResidentLayers;

    /// <summary>Which layers stay on the device; null where all do.</summary>
    public LayerPlacement? Placement => StreamedLayers > 0 ? new LayerPlacement(ResidentLayers, Slots) : null;

    /// <summary>The stage that takes the most memory.</summary>
    public GenerationStage LargestStage => Peaks.MaxBy(stage => stage.Value).Key;

    /// <summary>The expected peak.</summary>
    public long Peak => Peaks[LargestStage];
}
