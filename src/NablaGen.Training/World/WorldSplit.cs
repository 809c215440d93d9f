namespace NablaGen.Training.World;

/// <summary>Which scenes a world shows.</summary>
public enum WorldSplit
{
    /// <summary>No object has a held-out combination.</summary>
    Training,

    /// <summary>Every object has a held-out combination: none of them is ever in training.</summary>
    HeldOut,

    /// <summary>Any scene.</summary>
    All,
}
