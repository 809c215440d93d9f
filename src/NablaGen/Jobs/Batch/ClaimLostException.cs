namespace NablaGen.Jobs.Batch;

/// <summary>This process stood still for so long that another took it for dead and has its row now: what it was making is given up.</summary>
internal sealed class ClaimLostException() : OperationCanceledException("another process has taken the row over");
