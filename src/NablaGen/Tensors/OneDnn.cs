namespace NablaGen.Tensors;

/// <summary>oneDNN, libtorch's convolutions on the CPU.</summary>
/// <remarks>
/// Gradients of small convolutions by oneDNN's AVX-512 kernels (libtorch 2.10) were NaN, or differed from run to run, on an AMD EPYC of 2026 with
/// AVX512-VP2INTERSECT: the tests of the VAE's trainer failed in 3 of 5 runs with AVX-512 and in none of 3 with AVX2. Forward passes were the same in every run.
/// </remarks>
internal static class OneDnn
{
    private const string Variable = "ONEDNN_MAX_CPU_ISA";

    /// <summary>Has oneDNN keep to AVX2, unless the user says otherwise. Only before libtorch is loaded, and only for training.</summary>
    public static void KeepToAvx2() => NativeEnvironment.SetDefault(Variable, "AVX2");
}
