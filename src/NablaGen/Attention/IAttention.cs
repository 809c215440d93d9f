using static TorchSharp.torch;

namespace NablaGen.Attention;

/// <summary>Self-attention over the tokens of a video. A layer does not know which one it has.</summary>
public interface IAttention : IDisposable
{
    /// <summary>Whether means over blocks that come along are of use.</summary>
    bool TakesBlockMeans => false;

    /// <summary>
    /// Splits the tokens over the GPUs that compute this attention together: <see cref="Forward"/> then takes and gives this process's tokens alone,
    /// and still the layout of all. Null where this process has all tokens.
    /// </summary>
    /// <param name="whole">The order of all L tokens, which <see cref="Forward"/> is given.</param>
    /// <param name="byFrames">Whether each process needs whole latent frames.</param>
    /// <exception cref="NablaGenException">There are too few tokens.</exception>
    ITokenShare? Split(BlockLayout whole, bool byFrames) => null;

    /// <summary>Softmax(q kᵀ / √D) v, over all keys or over those that the implementation keeps.</summary>
    /// <param name="q">Queries after norm and RoPE. [B, H, L, D]</param>
    /// <param name="k">Keys after norm and RoPE. [B, H, L, D]</param>
    /// <param name="v">Values. [B, H, L, D]</param>
    /// <param name="layout">The order of the L tokens.</param>
    /// <param name="site">The solver step and the layer, for schedules and statistics.</param>
    /// <param name="means">Means over blocks, if <see cref="TakesBlockMeans"/> asked for them and there were any to be had.</param>
    /// <returns>A new tensor in the type of <paramref name="v"/>. [B, H, L, D]</returns>
    Tensor Forward(Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionSite site, BlockMeans? means = null);

    /// <summary>Whether the first layer's output may serve a second pass of its step, of which <see cref="RepeatFirst"/> then tells.</summary>
    bool Repeats => false;

    /// <summary>Tells the observer of the first layer's attention, which was the last one there, once more: another pass of the step takes its output.</summary>
    /// <param name="step">The solver step.</param>
    void RepeatFirst(int step)
    {
    }
}
