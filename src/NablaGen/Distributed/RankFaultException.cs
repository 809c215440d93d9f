namespace NablaGen.Distributed;

/// <summary>Another rank of a job was lost, hangs or has failed; the line names it.</summary>
/// <param name="line">What happened.</param>
/// <param name="isShortage">Whether the work needs more memory than that rank has, so that a smaller video may be made.</param>
/// <param name="cause">How it showed here.</param>
public sealed class RankFaultException(string line, bool isShortage = false, Exception? cause = null) : NablaGenException(line, cause)
{
    /// <summary>Whether the work needs more memory than that rank has.</summary>
    public bool IsShortage => isShortage;
}
