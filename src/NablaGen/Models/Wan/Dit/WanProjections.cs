using NablaGen.Tensors;
using NablaGen.Tensors.Layers;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Dit;

/// <summary>What self- and cross-attention have in common: the products around the attention and the norms of queries and keys.</summary>
public abstract class WanProjections : Module
{
    [ComponentName(Name = "q")]
    private protected readonly AutocastLinear Q;

    [ComponentName(Name = "k")]
    private protected readonly AutocastLinear K;

    [ComponentName(Name = "v")]
    private protected readonly AutocastLinear V;

    [ComponentName(Name = "o")]
    private protected readonly AutocastLinear O;

    [ComponentName(Name = "norm_q")]
    private protected readonly WanRmsNorm? NormQ;

    [ComponentName(Name = "norm_k")]
    private protected readonly WanRmsNorm? NormK;

    private protected WanProjections(string name, DitConfig config, ModuleOptions options)
        : base(name)
    {
        Heads = config.NumHeads;
        var projections = AutocastLinear.Adjacent(3, config.Dim, config.Dim, options);
        (Q, K, V) = (projections[0], projections[1], projections[2]);
        O = new AutocastLinear(config.Dim, config.Dim, options);
        NormQ = config.QkNorm ? new WanRmsNorm(config.Dim, config.Eps, options) : null;
        NormK = config.QkNorm ? new WanRmsNorm(config.Dim, config.Eps, options) : null;
        RegisterComponents();
    }

    /// <summary>Whether the tokens may come in fp8 with row-wise scales.</summary>
    public bool TakesRowScales => Q.Matrix.TakesRowScales;

    /// <summary>H.</summary>
    protected int Heads { get; }

    /// <summary>[B, L, C] → [B, H, L, D].</summary>
    protected Tensor Split(Tensor x) => x.unflatten(2, [Heads, -1]).transpose(1, 2);

    /// <summary>[B, H, L, D] → [B, L, C].</summary>
    protected static Tensor Join(Tensor y) => y.transpose(1, 2).flatten(2);
}
