namespace NablaGen.Jobs.Batch;

/// <summary>How making a row ended.</summary>
public enum RowState
{
    /// <summary>The video is there.</summary>
    Done,

    /// <summary>It could not be made.</summary>
    Failed,
}
