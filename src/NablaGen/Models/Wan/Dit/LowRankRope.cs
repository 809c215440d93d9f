using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Dit;

/// <summary>The angles of a low-rank branch: those of a head's first pairs, and the head's own, which are taken back from its queries and keys.</summary>
/// <remarks>
/// The reference rounds these angles to the type that it computes in before it takes their cosine and sine, and those, too; its checkpoints were
/// trained so. Port of _apply_rope_rank, sparkdiffusion/networks/wan_rola_attention.py.
/// </remarks>
public sealed class LowRankRope : IDisposable
{
    /// <summary>The angles of a run.</summary>
    /// <param name="rope">The head's angles; stay the caller's.</param>
    /// <param name="rank">Channels of the branch, an even number of at most the head's width.</param>
    /// <param name="dtype">The type of the large matrix products.</param>
    public LowRankRope(RopeTable rope, int rank, ScalarType dtype)
    {
        Head = rope;
        using var scope = NewDisposeScope();
        var angles = rope.Angles(rank / 2).to_type(ScalarType.Float32).to_type(dtype).to_type(ScalarType.Float32);
        Table = stack([cos(angles), sin(angles)], -1).to_type(dtype).to_type(ScalarType.Float32).contiguous().DetachFromDisposeScope();
    }

    /// <summary>The angles of the head's queries and keys.</summary>
    public RopeTable Head { get; }

    /// <summary>Cosine and sine of the branch's angles, float32. [L, rank / 2, 2]</summary>
    public Tensor Table { get; }

    /// <inheritdoc/>
    public void Dispose() => Table.Dispose();
}
