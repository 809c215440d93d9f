namespace NablaGen.Training.Evaluation;

/// <summary>How a clip compares with what its prompt asked.</summary>
/// <param name="Attributes">A verdict for each attribute that was asked for, object by object.</param>
public sealed record ClipVerdict(IReadOnlyList<AttributeVerdict> Attributes)
{
    /// <summary>Whether every one of them is right.</summary>
    public bool IsSuccess => Attributes.All(a => a.Right);

    /// <summary>The part of them that is right, 0 to 1.</summary>
    public double PartRight => Attributes.Count == 0 ? 1 : Attributes.Count(a => a.Right) / (double)Attributes.Count;
}
