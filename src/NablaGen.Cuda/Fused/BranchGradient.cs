namespace NablaGen.Cuda.Fused;

/// <summary>The branch's side of <see cref="GateResidualNormBackward"/>: x + y · gate. All but the last are device addresses.</summary>
/// <param name="Gradient">Gets the gradient of y, 16-bit [batch, rows, columns], contiguous.</param>
/// <param name="Value">y, 16-bit, the same shape, contiguous; needed with a gate alone.</param>
/// <param name="Gate">float32, for each batch one; 0 for 1.</param>
/// <param name="GateGradient">Gets the gate's gradient, float32 [batch, columns]; with a gate or not at all.</param>
/// <param name="GateStride">Floats from one batch's gate to the next.</param>
public readonly record struct BranchGradient(nint Gradient, nint Value = 0, nint Gate = 0, nint GateGradient = 0, long GateStride = 0);
