namespace NablaGen.Models;

/// <summary>What a model was trained for. Outside it, it may still be used, and the user is told.</summary>
public sealed record TrainedFor
{
    /// <summary>The videos' sizes in pixels; empty where these are not known, or where an area alone counts.</summary>
    public IReadOnlyList<(int Width, int Height)> Sizes { get; init; } = [];

    /// <summary>Sizes whose area counts, whatever the sides; empty where <see cref="Sizes"/> are known.</summary>
    public IReadOnlyList<(int Width, int Height)> Areas { get; init; } = [];

    /// <summary>Frames of the shortest and of the longest video; null where that is not known.</summary>
    public (int Fewest, int Most)? Frames { get; init; }

    /// <summary>Whether it also makes single frames, which <see cref="Frames"/> need not include.</summary>
    public bool Stills { get; init; }

    /// <summary>The lowest threshold of NABLA that does little harm; null where that is not known.</summary>
    public double? SafeThreshold { get; init; }

    /// <summary>Every word of its prompts in lower case, those that name a thing first; empty for a model of any words.</summary>
    public IReadOnlyList<string> Words { get; init; } = [];
}
