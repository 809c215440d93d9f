namespace NablaGen.Weights;

/// <summary>The bytes of a storage in a <c>.pth</c> file, from which its tensors are views.</summary>
/// <param name="Length">How many there are.</param>
/// <param name="Open">A stream at the first of them.</param>
internal sealed record PthStorage(long Length, Func<Stream> Open);
