using NablaGen.Attention;
using NablaGen.Tensors;
using NablaGen.Tensors.Matrices;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Dit;

/// <summary>Self-attention with RMSNorm and RoPE on queries and keys. Port of WanSelfAttention, wan/modules/model.py.</summary>
public sealed class WanSelfAttention(DitConfig config, ModuleOptions options)
    : WanProjections(nameof(WanSelfAttention), config, options)
{
    /// <summary>[B, L, C] → [B, L, C].</summary>
    /// <param name="x">Tokens in the run's order.</param>
    /// <param name="run">Layout, angles, attention and step.</param>
    /// <param name="layer">This layer's number.</param>
    public Tensor forward(Activation x, DitRun run, int layer)
    {
        using var scope = NewDisposeScope();
        Tensor y;
        // Queries, keys and values are freed before the last product allocates more memory.
        using (NewDisposeScope())
        {
            var pools = run.Attention.TakesBlockMeans;
            var (q, meansQ) = run.Ops.NormalizeHeads(NormQ, Q.forward(x), Heads, run.Rope, pools);
            var (k, meansK) = run.Ops.NormalizeHeads(NormK, K.forward(x), Heads, run.Rope, pools);
            var v = Split(V.forward(x));
            var means = meansQ is null || meansK is null ? null : new BlockMeans(meansQ, meansK);
            y = run.Attention.Forward(q, k, v, run.Layout, new AttentionSite(run.Step, layer), means).MoveToOuterDisposeScope();
        }

        return O.forward(Join(y)).MoveToOuterDisposeScope();
    }
}
