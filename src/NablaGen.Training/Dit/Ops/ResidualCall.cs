using static TorchSharp.torch;

namespace NablaGen.Training.Dit.Ops;

/// <summary>What <see cref="ResidualFunction"/> takes beside tensors.</summary>
/// <param name="Kernels">The kernels.</param>
/// <param name="Branch">The branch's type; null without one.</param>
/// <param name="HasNorm">Whether the sum is normalised.</param>
/// <param name="IsModulation">Whether gain and offset are a modulation's.</param>
/// <param name="Epsilon">Added to the variance.</param>
internal sealed record ResidualCall(IOpKernels Kernels, ScalarType? Branch, bool HasNorm, bool IsModulation, double Epsilon);
