namespace NablaGen.Tensors;

/// <summary>How libtorch's allocator takes memory from the device.</summary>
/// <remarks>
/// By default in pieces of fixed size, and what of a piece no tensor fits is lost. Pieces that grow lose less: docs/performance.md has both.
/// </remarks>
internal static class CudaAllocator
{
    /// <summary>The variable libtorch reads; the user's own value is kept.</summary>
    public const string Variable = "PYTORCH_CUDA_ALLOC_CONF";

    // The variable's new name since PyTorch 2.9; a user may have set either.
    private const string NewVariable = "PYTORCH_ALLOC_CONF";

    private const string Growing = "expandable_segments:True";

    /// <summary>Whether pieces grow, as far as the environment says.</summary>
    public static bool SegmentsGrow => OperatingSystem.IsLinux() && (Set(NewVariable) ?? Set(Variable) ?? Growing).Contains(Growing, StringComparison.OrdinalIgnoreCase);

    /// <summary>Lets pieces grow. Only before libtorch is loaded.</summary>
    public static void LetSegmentsGrow()
    {
        if (Set(NewVariable) is null)
        {
            NativeEnvironment.SetDefault(Variable, Growing);
        }
    }

    private static string? Set(string variable) => Environment.GetEnvironmentVariable(variable) is { Length: > 0 } value ? value : null;
}
