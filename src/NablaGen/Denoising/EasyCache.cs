using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Denoising;

/// <summary>
/// EasyCache: a skipped step's velocity is its latents plus what velocity and latents differed by at the last computed step. How much the
/// velocity will have changed is predicted from how much the latents have, by the ratio of both at the last two computed steps. It has no
/// constants of a model. Port of EasyCache4Wan2.1 (H-EmbodVis/EasyCache), with its first ten of fifty steps as a fifth of any number.
/// </summary>
/// <param name="threshold">The summed relative change at which a step is computed.</param>
/// <param name="run">What the passes share.</param>
public sealed class EasyCache(double threshold, StepCacheRun run) : IStepCache
{
    /// <summary>The authors' threshold.</summary>
    public const double DefaultThreshold = 0.05;

    private Tensor? _difference;
    private Tensor? _before;
    private Tensor? _input;
    private Tensor? _output;
    private double? _rate;
    private double _error;

    /// <inheritdoc/>
    public Tensor Velocity(Tensor latents, TransformerPass pass)
    {
        using var scope = NewDisposeScope();
        if (run.Skips(() => Estimate(run.WithPrompt(latents)), threshold))
        {
            return latents.Plus(_difference!).MoveToOuterDisposeScope();
        }

        var velocity = pass.All();
        _error = 0;
        var (input, output) = (run.WithPrompt(latents), run.WithPrompt(velocity));
        if (_input is not null && Change(input, _input) is > 0 and var moved)
        {
            _rate = Change(output, _output!) / moved;
        }

        Keep(ref _input, input.clone());
        Keep(ref _output, output.clone());
        Keep(ref _difference, velocity - latents);
        return velocity.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in new[] { _difference, _before, _input, _output })
        {
            tensor?.Dispose();
        }

        (_difference, _before, _input, _output) = (null, null, null, null);
    }

    private double? Estimate(Tensor latents)
    {
        using var scope = NewDisposeScope();
        double? moved = _before is null ? null : Change(latents, _before);
        Keep(ref _before, latents.clone());
        if (run.Step < StepCaches.FirstSteps(run.Steps) || run.Step == run.Steps - 1 || moved is null || _rate is null)
        {
            return null;
        }

        return _error += _rate.Value * moved.Value / _output!.abs().mean().item<float>();
    }

    private static double Change(Tensor now, Tensor before)
    {
        using var scope = NewDisposeScope();
        return (now - before).abs().mean().item<float>();
    }

    private static void Keep(ref Tensor? kept, Tensor now)
    {
        kept?.Dispose();
        kept = now.DetachFromDisposeScope();
    }
}
