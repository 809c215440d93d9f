using NablaGen.Attention;
using NablaGen.Generation;
using static TorchSharp.torch;

namespace NablaGen.Denoising;

/// <summary>Observes a sampling run: which blocks each attention kept, and the latents after each step.</summary>
public interface ISamplingObserver : IAttentionObserver
{
    /// <summary>Sampling begins: the transformer is in memory.</summary>
    void OnStart()
    {
    }

    /// <summary>A step begins whose threshold is not the expression's: see <see cref="GenerationRequest.TargetDensity"/>.</summary>
    /// <param name="step">The step, from 0.</param>
    /// <param name="threshold">NABLA's threshold in this step.</param>
    void OnThreshold(int step, double threshold)
    {
    }

    /// <summary>The step cache skipped a step: no attention was computed in it. Called before <see cref="OnPrediction"/>.</summary>
    /// <param name="step">The step, from 0.</param>
    /// <param name="error">What the cache estimates that the skip gets wrong; its scale is the cache's own.</param>
    void OnSkipped(int step, double error)
    {
    }

    /// <summary>The model's prediction of the final latents from this step's noisy ones: x − σ v. Called before <see cref="OnStep"/>.</summary>
    /// <param name="step">The step, from 0.</param>
    /// <param name="clean">The predicted latents, on the model's device; the caller's. [B, C, T', h, w], B = 1 unless it samples several videos at once</param>
    void OnPrediction(int step, Tensor clean)
    {
    }

    /// <summary>A solver step is done.</summary>
    /// <param name="step">The step, from 0.</param>
    /// <param name="latents">The latents after it, on the model's device; the caller's. [B, C, T', h, w], B = 1 unless it samples several videos at once</param>
    void OnStep(int step, Tensor latents);

    /// <summary>All steps are done.</summary>
    void OnEnd()
    {
    }
}
