namespace NablaGen.Jobs.Masks;

/// <summary>The masks of a run, of the passes with the prompt.</summary>
/// <param name="Plan">Which there are.</param>
/// <param name="Found">By step and layer; none where a step cache skipped the step.</param>
/// <param name="BlockDensity">
/// By query block, the share of all blocks that it attends to: the mean over every step that was computed, layer and head, recorded or not;
/// dense layers count as 1. [Blocks]
/// </param>
public sealed record RecordedMasks(MaskPlan Plan, IReadOnlyDictionary<(int Step, int Layer), LayerMasks> Found, IReadOnlyList<double> BlockDensity)
{
    /// <summary>The mean density of the run: of the passes with the prompt.</summary>
    public double Density => BlockDensity.Count == 0 ? 0 : BlockDensity.Average();
}

/// <summary>The masks of a layer in a step.</summary>
/// <param name="Heads">
/// By head of <see cref="MaskPlan.Heads"/>, rows of <see cref="MaskPlan.RowBytes"/> bytes; bit j % 8 of byte j / 8 is key block j. Null where the
/// layer was dense. [heads][Blocks, RowBytes]
/// </param>
public sealed record LayerMasks(IReadOnlyList<byte[]>? Heads);
