namespace NablaGen.Weights;

/// <summary>Where and how one tensor is stored.</summary>
/// <param name="Name">Its key.</param>
/// <param name="Type">Its element type.</param>
/// <param name="Shape">Its sizes, outermost first; empty for a scalar. Stored row-major.</param>
/// <param name="Offset">
/// Its first byte, counted from the start of the file for safetensors, from the start of its storage for <c>.pth</c>.
/// </param>
/// <param name="ByteCount">Its bytes: the product of the shape times the type's size.</param>
public sealed record TensorEntry(string Name, StoredType Type, long[] Shape, long Offset, long ByteCount);
