using NablaGen.Tensors;
using NablaGen.Tensors.Matrices;

namespace NablaGen.Models;

/// <summary>The number formats in which a transformer is kept and computed, beside the type of its products.</summary>
public sealed record TransformerFormats
{
    /// <summary>Plain numbers, and attention in their type.</summary>
    public static TransformerFormats Plain { get; } = new();

    /// <summary>The format of its layers' matrices: see <see cref="MatrixFormats.Names"/>.</summary>
    public string Matrices { get; init; } = MatrixFormats.Dense;

    /// <summary>Whether the first and the last layer have plain matrices all the same. Then they stay on the device, where others are streamed.</summary>
    public bool HasPlainEnds { get; init; }

    /// <summary>Whether self-attention is computed in eight bits where there are kernels for it.</summary>
    public bool EightBitAttention { get; init; }

    /// <summary>What was asked for and cannot be had here, a line each: to be said once.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>Module options with these formats.</summary>
    public ModuleOptions Over(ModuleOptions options) => options with { MatrixFormat = Matrices, HasPlainEnds = HasPlainEnds, EightBitAttention = EightBitAttention };
}
