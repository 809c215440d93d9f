namespace NablaGen.Weights;

/// <summary>The element type of a tensor in a file. The names are those of the safetensors format.</summary>
public enum StoredType
{
    /// <summary>IEEE double.</summary>
    F64,

    /// <summary>IEEE single.</summary>
    F32,

    /// <summary>IEEE half.</summary>
    F16,

    /// <summary>bfloat16: the upper half of an IEEE single.</summary>
    BF16,

    /// <summary>OCP 8-bit float with 4 exponent and 3 mantissa bits: no infinity, NaN is 0x7F and 0xFF, largest 448 (float8_e4m3fn).</summary>
    F8_E4M3,

    /// <summary>OCP 8-bit float with 5 exponent and 2 mantissa bits: infinities and NaN as in IEEE, largest 57,344 (float8_e5m2).</summary>
    F8_E5M2,

    /// <summary>Signed 64-bit integer.</summary>
    I64,

    /// <summary>Signed 32-bit integer.</summary>
    I32,

    /// <summary>Signed 16-bit integer.</summary>
    I16,

    /// <summary>Signed 8-bit integer.</summary>
    I8,

    /// <summary>Unsigned 8-bit integer.</summary>
    U8,

    /// <summary>Boolean, one byte each: 0 or 1.</summary>
    BOOL,
}
