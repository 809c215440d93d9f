namespace NablaGen.Cuda;

/// <summary>One measured time.</summary>
/// <param name="Kernel">What ran, such as "attention (Hopper)".</param>
/// <param name="Case">On what, such as "NABLA mask, density 0.20".</param>
/// <param name="Milliseconds">Median time on the device.</param>
/// <param name="Rate">Work a second in <paramref name="Unit"/>.</param>
/// <param name="Unit">"TFLOP/s" (only the kept block pairs count) or "TB/s" (each input read once, each output written once).</param>
public readonly record struct KernelTime(string Kernel, string Case, double Milliseconds, double Rate, string Unit)
{
    /// <summary>One line of a table.</summary>
    public override string ToString() => $"{Kernel,-22} {Case,-30} {Milliseconds,9:0.000} ms {Rate,8:0.00} {Unit}";
}
