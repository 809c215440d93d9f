using NablaGen.Attention;

namespace NablaGen.Training.Attention;

/// <summary>One attention of a training step, from its forward to its backward pass.</summary>
/// <param name="layout">The blocks of the tokens.</param>
/// <param name="expression">Which blocks to keep.</param>
/// <param name="layer">The layer, from 0.</param>
/// <param name="means">Means of queries and keys over the blocks, where they are known.</param>
internal sealed class DifferentiableCall(BlockLayout layout, AttentionExpression expression, int layer, BlockMeans? means)
{
    /// <summary>The blocks of the tokens.</summary>
    public BlockLayout Layout => layout;

    /// <summary>Which blocks to keep.</summary>
    public AttentionExpression Expression => expression;

    /// <summary>The layer, from 0.</summary>
    public int Layer => layer;

    /// <summary>Means of queries and keys over the blocks, where they are known.</summary>
    public BlockMeans? Means => means;

    /// <summary>What the forward pass kept; null before it.</summary>
    public IKeptBlocks? Kept { get; set; }
}
