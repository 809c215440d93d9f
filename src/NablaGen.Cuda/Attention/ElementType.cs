namespace NablaGen.Cuda.Attention;

/// <summary>The 16-bit types that the kernels read and write.</summary>
public enum ElementType
{
    /// <summary>bfloat16.</summary>
    BFloat16,

    /// <summary>IEEE half.</summary>
    Float16,
}
