namespace NablaGen.Cuda.Fused;

/// <summary>
/// The norm's side of <see cref="GateResidualNormBackward"/>: h = n · (base + gain) + offset. All but the last two are device addresses.
/// </summary>
/// <param name="Stream">What was normalised, float32 [batch, rows, columns], contiguous.</param>
/// <param name="Statistics">What the forward pass left, float32 [batch, rows, 2].</param>
/// <param name="Gradient">Gradient of h, 16-bit [batch, rows, columns], contiguous.</param>
/// <param name="Gain">float32: the scale of a modulation, or the weight [columns] of a LayerNorm; 0 for 1.</param>
/// <param name="Gradients">
/// Get the gradients of gain and offset, float32: [2, batch, columns] of a modulation, [2, columns] of weight and bias; 0 if not wanted.
/// </param>
/// <param name="IsModulation">Whether each batch has a gain of its own, to which 1 is added.</param>
/// <param name="GainStride">Floats from one batch's gain to the next; of a modulation alone.</param>
public readonly record struct NormGradient(
    nint Stream, nint Statistics, nint Gradient, nint Gain = 0, nint Gradients = 0, bool IsModulation = false, long GainStride = 0);
