namespace NablaGen.Attention;

/// <summary>Where in a generation an attention is computed.</summary>
/// <param name="Step">Solver step, from 0.</param>
/// <param name="Layer">Transformer block, from 0.</param>
public readonly record struct AttentionSite(int Step, int Layer)
{
    /// <summary>Which of the layer's heads are computed here, where several GPUs share them; null for all.</summary>
    public IReadOnlyList<int>? Heads { get; init; }

    /// <summary>Takes the output in fp8 from an attention that can write it so; null where nobody needs that.</summary>
    public Fp8Output? Fp8 { get; init; }
}
