using NablaGen.Weights.Lora;

namespace NablaGen.Models;

/// <summary>What a file of tensors is, from its header alone.</summary>
public sealed record FileInspection
{
    /// <summary>The file, or the index of its shards.</summary>
    public required string Path { get; init; }

    /// <summary>What it holds: a part of a model ("transformer"), "LoRA", or "tensors" where nothing is recognised.</summary>
    public required string Kind { get; init; }

    /// <summary>The model's family and variant, such as "Wan 2.1 text to video, 14B"; null where it is none's.</summary>
    public string? Family { get; init; }

    /// <summary>Whose names its keys are: "Wan", "Diffusers" …; null where they are nobody's known.</summary>
    public string? Names { get; init; }

    /// <summary>What stands before the names; empty for nothing.</summary>
    public string Prefix { get; init; } = "";

    /// <summary>The model's sizes in words; null where they can't be told.</summary>
    public string? Sizes { get; init; }

    /// <summary>Tensors of the part, what belongs to number formats not counted.</summary>
    public required int Tensors { get; init; }

    /// <summary>Numbers in them.</summary>
    public required long Parameters { get; init; }

    /// <summary>Their bytes in the file.</summary>
    public required long Bytes { get; init; }

    /// <summary>Tensors by the form that they are stored in, the most frequent first.</summary>
    public required IReadOnlyDictionary<string, int> Formats { get; init; }

    /// <summary>Keys that the part needs and the file lacks, under the family's own names.</summary>
    public IReadOnlyList<string> Missing { get; init; } = [];

    /// <summary>Keys that the part has no use for.</summary>
    public IReadOnlyList<string> Surplus { get; init; } = [];

    /// <summary>Keys whose shapes are not the part's.</summary>
    public IReadOnlyList<string> WrongShapes { get; init; } = [];

    /// <summary>Whether it has a tokenizer inside.</summary>
    public bool HasTokenizer { get; init; }

    /// <summary>What a LoRA changes; null for anything else.</summary>
    public LoraInspection? Lora { get; init; }

    /// <summary>Why it can't be used, where that is known; null otherwise.</summary>
    public string? Problem { get; init; }
}

/// <summary>What a path is: a model with its parts, or single files.</summary>
/// <param name="Path">The path.</param>
/// <param name="Layout">The layout of a folder with a model: "official", "Diffusers" …; null for a single file.</param>
/// <param name="Name">The model's name; null where there is no whole model.</param>
/// <param name="Files">Its files.</param>
/// <param name="Problem">Why it is no whole model; null where it is one, or a single file was asked for.</param>
public sealed record PathInspection(string Path, string? Layout, string? Name, IReadOnlyList<FileInspection> Files, string? Problem)
{
    /// <summary>The memory that a video of the model's default size takes on a GPU; null where there is no whole model.</summary>
    public MemoryInspection? Memory { get; init; }
}

/// <summary>What the plan of a video of a model's default size says, in bfloat16 on a GPU. All in bytes.</summary>
/// <param name="Video">The size: width × height × frames.</param>
/// <param name="TextEncoder">Weights of the text encoder in memory.</param>
/// <param name="Transformer">Those of the transformer, or of one of two experts.</param>
/// <param name="Vae">Those of the VAE.</param>
/// <param name="WithAllLayers">Of the GPU's memory, with all layers in it.</param>
/// <param name="Least">Of the GPU's memory, with layers streamed from the host's.</param>
/// <param name="Cards">The plan by a card's memory.</param>
public sealed record MemoryInspection(
    string Video, long TextEncoder, long Transformer, long Vae, long WithAllLayers, long Least, IReadOnlyList<CardInspection> Cards);

/// <summary>The plan for a card of so much memory.</summary>
/// <param name="Memory">Bytes of the card's memory, all of it free.</param>
/// <param name="IsTextEncoderOnDevice">Whether the text encoder runs on the card; otherwise on the CPU.</param>
/// <param name="Layers">The transformer's layers.</param>
/// <param name="StreamedLayers">Those of them that are streamed from the host's memory.</param>
/// <param name="Decoding">How the VAE decodes: "whole frames", or in which tiles.</param>
/// <param name="Host">Bytes of the host's memory that the plan takes.</param>
public sealed record CardInspection(long Memory, bool IsTextEncoderOnDevice, int Layers, int StreamedLayers, string Decoding, long Host);
