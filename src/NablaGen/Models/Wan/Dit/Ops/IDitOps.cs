using NablaGen.Attention;
using NablaGen.Tensors.Layers;
using NablaGen.Tensors.Matrices;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Dit.Ops;

/// <summary>
/// The ops between a layer's matrix products: norms, modulation, rotation, residual sums, GELU. Each reads and writes memory once where
/// the device has a kernel for it. Shifts, scales and gates come in F groups of L / F tokens each, one after the other: one for the video,
/// or one for each latent frame or token.
/// </summary>
public interface IDitOps : IDisposable
{
    /// <summary>LayerNorm(x) · (1 + scale) + shift. [B, L, C] → [B, L, C], for the next product.</summary>
    /// <param name="norm">The norm.</param>
    /// <param name="x">Residual stream, float32. [B, L, C]</param>
    /// <param name="shift">float32. [B, F, C]</param>
    /// <param name="scale">float32. [B, F, C]</param>
    Tensor Modulate(WanLayerNorm norm, Tensor x, Tensor shift, Tensor scale);

    /// <summary>The same; in fp8 with row-wise scales where the product takes that and these ops have such a pass. Otherwise the matrix quantises.</summary>
    Activation Modulate(WanLayerNorm norm, Tensor x, Tensor shift, Tensor scale, bool rowScales) => Modulate(norm, x, shift, scale);

    /// <summary>LayerNorm(x) with the norm's own weight and bias. [B, L, C] → [B, L, C], for the next product.</summary>
    Tensor Normalize(WanLayerNorm norm, Tensor x);

    /// <summary>RMSNorm over all heads, then rotation. [B, L, C] → [B, H, L, D]</summary>
    /// <param name="norm">The norm; null for none.</param>
    /// <param name="x">Queries or keys as a linear layer gives them; may be overwritten. [B, L, C]</param>
    /// <param name="heads">H.</param>
    /// <param name="rope">The angles; null for no rotation.</param>
    Tensor NormalizeHeads(WanRmsNorm? norm, Tensor x, int heads, RopeTable? rope);

    /// <summary>The same for the tokens of the video, and, if wanted and if these ops can compute them on the way, the means over each block.</summary>
    /// <returns>[B, H, L, D], and null or float32 [B · H, blocks, D].</returns>
    (Tensor Heads, Tensor? BlockMeans) NormalizeHeads(WanRmsNorm? norm, Tensor x, int heads, RopeTable rope, bool wantsMeans) =>
        (NormalizeHeads(norm, x, heads, rope), null);

    /// <summary>Whether <see cref="NormalizeJoinedHeads"/> is worth a product of queries, keys and values at once.</summary>
    bool TakesJoinedHeads => false;

    /// <summary>RMSNorm and rotation of queries and keys that one product gave, and, if wanted and if these ops can, the means over each block.</summary>
    /// <param name="normQ">The queries' norm.</param>
    /// <param name="normK">The keys' norm.</param>
    /// <param name="joined">Queries, keys and values side by side; queries and keys may be overwritten. [B, L, 3 C]</param>
    /// <param name="heads">H.</param>
    /// <param name="rope">The angles.</param>
    /// <param name="wantsMeans">Whether means are wanted.</param>
    /// <returns>[B, H, L, D] each, and null or the means.</returns>
    (Tensor Q, Tensor K, BlockMeans? Means) NormalizeJoinedHeads(WanRmsNorm normQ, WanRmsNorm normK, Tensor joined, int heads, RopeTable rope, bool wantsMeans) =>
        throw new NotSupportedException("these ops take queries and keys one by one");

    /// <summary>
    /// The low-rank branch, added to what a sparse self-attention gave: with q', k' = the projections of a head's normalised queries and keys, SiLU of
    /// them, turned by the head's first angles, and O = q' (k'ᵀ v), it is sparse + σ(x · gate + bias) · rms(sparse) · O / rms(O), row by row.
    /// </summary>
    /// <param name="weights">The branch's weights.</param>
    /// <param name="sparse">What the sparse attention gave; may be overwritten. [B, H, L, D]</param>
    /// <param name="q">Queries after norm and RoPE, which is taken back where they are read. [B, H, L, D]</param>
    /// <param name="k">Keys, likewise. [B, H, L, D]</param>
    /// <param name="v">Values. [B, H, L, D]</param>
    /// <param name="x">The self-attention's input, whose channels of each head tell the gate. [B, L, C]</param>
    /// <param name="rope">The angles of queries and keys, and of the branch.</param>
    /// <returns>The sum, which may be <paramref name="sparse"/> itself. [B, H, L, D]</returns>
    Tensor AddLowRank(LowRankWeights weights, Tensor sparse, Tensor q, Tensor k, Tensor v, Tensor x, LowRankRope rope) =>
        LowRankBranch.Add(weights, sparse, q, k, v, x, rope);

    /// <summary>Whether <see cref="AttendToText"/> takes so many tokens of a prompt.</summary>
    /// <param name="keys">The prompt's tokens and one for its padding.</param>
    /// <param name="headSize">D.</param>
    bool TakesTextOf(long keys, long headSize) => false;

    /// <summary>
    /// Attention to a prompt's tokens, the last of which stands for all its padding: equal keys and values weigh as much as one that counts as often. RMSNorm of
    /// the queries is a factor for each of them and, as a weight by channel, in the keys (<see cref="WeighKeys"/>).
    /// </summary>
    /// <param name="norm">The queries' norm.</param>
    /// <param name="q">Queries as a linear layer gives them. [B, L, C]</param>
    /// <param name="k">Weighed keys. [B, H, n, D]</param>
    /// <param name="v">Values. [B, H, n, D]</param>
    /// <param name="copies">How often the last one counts.</param>
    /// <param name="most">
    /// <see cref="Largest"/> of the values, where the result is wanted in fp8: with one scale for all rows, for a mean of values is no larger than the largest of
    /// them. Null where it is not.
    /// </param>
    /// <returns>All heads of each token, for the next product. [B, L, C]</returns>
    Activation AttendToText(WanRmsNorm norm, Tensor q, Tensor k, Tensor v, int copies, Tensor? most) =>
        throw new NotSupportedException("these ops take a prompt with all its padding");

    /// <summary>The largest magnitude of values, float32. []</summary>
    /// <param name="v">Values. [B, H, n, D]</param>
    static Tensor Largest(Tensor v)
    {
        using var scope = NewDisposeScope();
        return v.abs().amax().to_type(ScalarType.Float32).MoveToOuterDisposeScope();
    }

    /// <summary>Keys times the weight of the queries' norm. [B, H, n, D] → [B, H, n, D]</summary>
    /// <param name="norm">The queries' norm.</param>
    /// <param name="k">Keys. [B, H, n, D]</param>
    static Tensor WeighKeys(WanRmsNorm norm, Tensor k)
    {
        using var scope = NewDisposeScope();
        var weight = norm.Weight.reshape(1, k.shape[1], 1, k.shape[3]);
        return k.to_type(ScalarType.Float32).mul(weight).to_type(k.dtype).MoveToOuterDisposeScope();
    }

    /// <summary>x + y · gate, the residual stream's next value. x may be overwritten. [B, L, C] in float32</summary>
    /// <param name="x">Residual stream, float32. [B, L, C]</param>
    /// <param name="y">A branch's output. [B, L, C]</param>
    /// <param name="gate">float32; null for 1. [B, F, C]</param>
    Tensor AddGated(Tensor x, Tensor y, Tensor? gate);

    /// <summary>x + y · gate, and its LayerNorm for the next branch: <c>AddGated</c>, then <c>Modulate</c> or <c>Normalize</c>.</summary>
    /// <param name="x">Residual stream, float32; may be overwritten. [B, L, C]</param>
    /// <param name="y">A branch's output; may be overwritten. [B, L, C]</param>
    /// <param name="gate">float32; null for 1. [B, F, C]</param>
    /// <param name="norm">The norm, with its own weight and bias if it has them.</param>
    /// <param name="shift">float32; null for no modulation. [B, F, C]</param>
    /// <param name="scale">float32, with the shift. [B, F, C]</param>
    /// <returns>The residual stream's next value, and its norm.</returns>
    (Tensor X, Tensor Normalized) AddGatedAndNormalize(Tensor x, Tensor y, Tensor? gate, WanLayerNorm norm, Tensor? shift = null, Tensor? scale = null);

    /// <summary>The same; the norm in fp8 with row-wise scales where the product takes that and these ops have such a pass.</summary>
    (Tensor X, Activation Normalized) AddGatedAndNormalize(
        Tensor x, Tensor y, Tensor? gate, WanLayerNorm norm, bool rowScales, Tensor? shift = null, Tensor? scale = null) =>
        AddGatedAndNormalize(x, y, gate, norm, shift, scale);

    /// <summary>Whether <see cref="NormalizeGated"/> and <see cref="AddTwoAndNormalize"/> are there: a branch then waits for the next one, and the stream is written once for both.</summary>
    bool DefersBranches => false;

    /// <summary>LayerNorm(x + y · gate), without keeping the sum. [B, L, C] → [B, L, C]</summary>
    /// <param name="x">Residual stream, float32. [B, L, C]</param>
    /// <param name="y">A branch's output. [B, L, C]</param>
    /// <param name="gate">float32; null for 1. [B, F, C]</param>
    /// <param name="norm">The norm, with its own weight and bias if it has them.</param>
    /// <param name="rowScales">Whether the product that follows takes fp8 with row-wise scales.</param>
    Activation NormalizeGated(Tensor x, Tensor y, Tensor? gate, WanLayerNorm norm, bool rowScales) => throw new NotSupportedException("these ops add a branch at once");

    /// <summary>x + y · gate + second, and its modulated norm.</summary>
    /// <param name="x">Residual stream, float32; may be overwritten. [B, L, C]</param>
    /// <param name="y">The branch that waited. [B, L, C]</param>
    /// <param name="gate">Its factor. [B, F, C]</param>
    /// <param name="second">The next branch's output; may be overwritten. [B, L, C]</param>
    /// <param name="norm">The norm.</param>
    /// <param name="rowScales">As above.</param>
    /// <param name="shift">float32. [B, F, C]</param>
    /// <param name="scale">float32. [B, F, C]</param>
    /// <returns>The residual stream's next value, and its norm.</returns>
    (Tensor X, Activation Normalized) AddTwoAndNormalize(
        Tensor x, Tensor y, Tensor? gate, Tensor second, WanLayerNorm norm, bool rowScales, Tensor shift, Tensor scale) => throw new NotSupportedException("these ops add a branch at once");

    /// <summary>GELU(x Wᵀ + b), tanh form. [B, L, inputs] → [B, L, outputs]</summary>
    Tensor LinearGelu(AutocastLinear layer, Tensor x);

    /// <summary>The same of an activation that may be in fp8; the result too where the next product takes that and these ops have such a pass.</summary>
    Activation LinearGelu(AutocastLinear layer, Activation x, bool rowScales) =>
        x.RowScales is null ? LinearGelu(layer, x.Values) : throw new NotSupportedException("these ops have no GELU after a product in fp8");
}
