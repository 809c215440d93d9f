using NablaGen.Attention;
using NablaGen.Denoising;
using static TorchSharp.torch;

namespace NablaGen.Jobs.Compare;

/// <summary>Keeps a run's latents after each step, in float32 on the CPU: 4 bytes a value and step.</summary>
public sealed class LatentTrajectory : ISamplingObserver, IDisposable
{
    private readonly List<Tensor> _steps = [];

    /// <summary>The latents by step; this object's. [1, C, T', h, w]</summary>
    public IReadOnlyList<Tensor> Steps => _steps;

    /// <inheritdoc/>
    public void OnDense(AttentionSite site)
    {
    }

    /// <inheritdoc/>
    public void OnSparse(AttentionSite site, IKeptBlocks kept)
    {
    }

    /// <inheritdoc/>
    public void OnStep(int step, Tensor latents) =>
        _steps.Add(latents.to(ScalarType.Float32, CPU, copy: true).DetachFromDisposeScope());

    /// <inheritdoc/>
    public void Dispose() => _steps.ForEach(step => step.Dispose());
}
