namespace NablaGen.Memory;

/// <summary>The memory a plan has to do with.</summary>
/// <param name="Device">Bytes on the device, those in use by this process included.</param>
/// <param name="Host">Bytes of the host's memory.</param>
public sealed record MemoryBudget(long Device, long Host);
