namespace NablaGen.Files;

/// <summary>What can be told of another process.</summary>
internal enum ProcessState
{
    /// <summary>It runs, or waits for something.</summary>
    Running,

    /// <summary>It is there and was stopped (SIGSTOP, a debugger): it does nothing until somebody lets it go on.</summary>
    Stopped,

    /// <summary>It has ended.</summary>
    Ended,

    /// <summary>It is on another machine or in another container, or another user's.</summary>
    Unknown,
}
