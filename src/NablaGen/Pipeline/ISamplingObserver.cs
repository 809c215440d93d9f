using NablaGen.Attention;
using static TorchSharp.torch;

namespace NablaGen.Pipeline;

/// <summary>Sees a sampling run: what each attention kept, and the latents after each step.</summary>
public interface ISamplingObserver : IAttentionObserver
{
    /// <summary>A solver step is done.</summary>
    /// <param name="step">The step, from 0.</param>
    /// <param name="latents">The latents after it, on the model's device; the caller's. [1, C, T', h, w]</param>
    void OnStep(int step, Tensor latents);
}
