namespace NablaGen.Tests;

/// <summary>
/// How scripts/test divides the run: two programs at once, then two others. A class is marked <c>[Trait(Lane.Name, ...)]</c>; one without a mark is
/// in the lane of tests that stay in their process, and of so many others that both programs end at about the same time.
/// </summary>
internal static class Lane
{
    public const string Name = "lane";

    /// <summary>Tests of the command and others that start programs: beside the rest, for a program that starts uses one core.</summary>
    public const string Commands = "commands";

    /// <summary>Tests that measure time or memory: after all others.</summary>
    public const string Alone = "alone";

    /// <summary>Tests that measure the memory of a process of its own, which another program does not change: beside those alone.</summary>
    public const string Memory = "memory";
}
