using static TorchSharp.torch;

namespace NablaGen.Weights;

/// <summary>Sizes of the stored types, and which tensor type each becomes.</summary>
public static class StoredTypeExtensions
{
    /// <summary>Bytes an element.</summary>
    public static int Size(this StoredType type) => type switch
    {
        StoredType.F64 or StoredType.I64 => 8,
        StoredType.F32 or StoredType.I32 => 4,
        StoredType.F16 or StoredType.BF16 or StoredType.I16 => 2,
        _ => 1,
    };

    /// <summary>Whether the type holds real numbers, as weights do.</summary>
    public static bool IsFloating(this StoredType type) => type <= StoredType.F8_E5M2;

    /// <summary>Whether the type is one of the 8-bit floats, which TorchSharp 0.107 lacks.</summary>
    public static bool IsFloat8(this StoredType type) => type is StoredType.F8_E4M3 or StoredType.F8_E5M2;

    /// <summary>
    /// The type of the tensor that a read gives. The 8-bit floats, which TorchSharp 0.107 lacks, become bfloat16: it holds
    /// each of their values exactly.
    /// </summary>
    public static ScalarType ToScalarType(this StoredType type) => type switch
    {
        StoredType.F64 => ScalarType.Float64,
        StoredType.F32 => ScalarType.Float32,
        StoredType.F16 => ScalarType.Float16,
        StoredType.BF16 or StoredType.F8_E4M3 or StoredType.F8_E5M2 => ScalarType.BFloat16,
        StoredType.I64 => ScalarType.Int64,
        StoredType.I32 => ScalarType.Int32,
        StoredType.I16 => ScalarType.Int16,
        StoredType.I8 => ScalarType.Int8,
        StoredType.U8 => ScalarType.Byte,
        StoredType.BOOL => ScalarType.Bool,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, null),
    };

    /// <summary>The stored type that holds a tensor's elements as they are.</summary>
    /// <exception cref="NablaGenException">A file has no such type (complex numbers).</exception>
    public static StoredType ToStoredType(this ScalarType type) => type switch
    {
        ScalarType.Float64 => StoredType.F64,
        ScalarType.Float32 => StoredType.F32,
        ScalarType.Float16 => StoredType.F16,
        ScalarType.BFloat16 => StoredType.BF16,
        ScalarType.Int64 => StoredType.I64,
        ScalarType.Int32 => StoredType.I32,
        ScalarType.Int16 => StoredType.I16,
        ScalarType.Int8 => StoredType.I8,
        ScalarType.Byte => StoredType.U8,
        ScalarType.Bool => StoredType.BOOL,
        _ => throw new NablaGenException($"A checkpoint has no type for {type} tensors."),
    };
}
