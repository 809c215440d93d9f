using System.Text.Json.Serialization;
using NablaGen.Models.Wan.Vae;

namespace NablaGen.Jobs.Benchmarks;

/// <summary>The time of decoding a video.</summary>
/// <param name="Frames">Frames of the video.</param>
/// <param name="Height">Rows.</param>
/// <param name="Width">Columns.</param>
/// <param name="Dtype">The type of weights and activations.</param>
/// <param name="Seconds">The median, the frames' way to the CPU included.</param>
/// <param name="Fastest">The shortest, in seconds.</param>
/// <param name="Slowest">The longest, in seconds.</param>
/// <param name="MemoryBytes">Memory in use on the device (all programs'), or the process's peak on the CPU.</param>
/// <param name="EstimatedBytes">What <see cref="VaeMemory"/> expects of the tensors alone.</param>
/// <param name="Psnr">To the same decode in float32, in decibels; null if it was not asked for. Infinite for equal frames.</param>
public sealed record VaeTiming(
    int Frames, int Height, int Width, string Dtype, double Seconds, double Fastest, double Slowest, long MemoryBytes, long EstimatedBytes,
    [property: JsonNumberHandling(JsonNumberHandling.AllowNamedFloatingPointLiterals)] double? Psnr);
