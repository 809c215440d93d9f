namespace NablaGen.Models.Wan;

/// <summary>What the names of Wan's parameters tell of them.</summary>
public static class WanKeys
{
    // The transformer's and the text encoder's layers, the VAE's levels and its middle.
    private static readonly string[] Hidden = ["blocks.", "samples.", "middle."];

    /// <summary>
    /// Whether a parameter lies between two hidden layers. What comes in and goes out does not: embeddings, heads, the time's projection, the
    /// VAE's outermost convolutions.
    /// </summary>
    /// <param name="name">The parameter's name in its model.</param>
    public static bool IsHidden(string name) => Array.Exists(Hidden, part => name.Contains(part, StringComparison.Ordinal));
}
