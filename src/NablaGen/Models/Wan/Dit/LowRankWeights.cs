using NablaGen.Tensors;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Dit;

/// <summary>
/// The weights of the low-rank branch beside a sparse self-attention: projections of a head's queries and keys to a few channels, and the gate by
/// which the branch comes in. All heads share them, except for the gate's bias. Port of WanSelfAttentionRoLa, sparkdiffusion/networks/wan_rola_attention.py.
/// </summary>
/// <param name="Queries">[rank, D]</param>
/// <param name="Keys">[rank, D]</param>
/// <param name="Gate">[1, D]</param>
/// <param name="GateBias">[1, H, 1, 1]</param>
public sealed record LowRankWeights(Parameter Queries, Parameter Keys, Parameter Gate, Parameter GateBias)
{
    /// <summary>The reference's ε in the root mean square of the sparse output.</summary>
    public const double SparseEps = 1e-5;

    /// <summary>The rank of the published checkpoints.</summary>
    public const int PublishedRank = 64;

    /// <summary>Channels of the projections.</summary>
    public int Rank => (int)Queries.shape[0];

    /// <summary>The ε of the branch's own norm: the reference names none, and so has the machine epsilon of the type that it computes in.</summary>
    /// <param name="dtype">The type of the large matrix products.</param>
    public static double BranchEps(ScalarType dtype) => dtype switch
    {
        ScalarType.BFloat16 => 0.0078125,
        ScalarType.Float16 => 0.0009765625,
        _ => 1.1920928955078125e-07,
    };
}

/// <summary>A matrix under the name <c>weight</c>, too small to need one of the matrix formats.</summary>
internal sealed class SmallMatrix : Module
{
    [ComponentName(Name = "weight")]
    private readonly Parameter _weight;

    /// <summary>An unread matrix. [outputs, inputs]</summary>
    public SmallMatrix(long outputs, long inputs, ModuleOptions options)
        : base(nameof(SmallMatrix))
    {
        _weight = options.Parameter(outputs, inputs);
        RegisterComponents();
    }

    /// <summary>The matrix. [outputs, inputs]</summary>
    public Parameter Weight => _weight;
}
