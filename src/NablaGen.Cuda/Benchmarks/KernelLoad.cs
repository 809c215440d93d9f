namespace NablaGen.Cuda.Benchmarks;

/// <summary>What a kernel is timed on.</summary>
/// <param name="Case">Its description.</param>
/// <param name="Amount">Bytes that must be read or written, or floating-point operations.</param>
/// <param name="Unit">"TB/s" or "TFLOP/s".</param>
/// <param name="Work">Puts it on the default stream.</param>
internal sealed record KernelLoad(string Case, double Amount, string Unit, Action Work)
{
    public const string Bytes = "TB/s";
    public const string Products = "TFLOP/s";
}
