using static TorchSharp.torch;

namespace NablaGen.Training.Optimization;

/// <summary>
/// AdamW with decoupled decay over one flat vector, gradient clipping and an average of the weights; a dozen operations a step, none of
/// which waits for the device.
/// </summary>
public sealed class AdamW : IDisposable
{
    private readonly FlatParameters _parameters;
    private readonly Tensor _decayed;

    /// <summary>An optimiser at step 0; the average starts as the weights.</summary>
    public AdamW(FlatParameters parameters, AdamWOptions options)
    {
        using var noGrad = no_grad();
        _parameters = parameters;
        Options = options;
        Momentum = zeros_like(parameters.Master).DetachFromDisposeScope();
        Variance = zeros_like(parameters.Master).DetachFromDisposeScope();
        Average = parameters.Master.clone().DetachFromDisposeScope();
        _decayed = parameters.Mask((name, shape) => IsDecayed(name, shape) ? 1 : 0).DetachFromDisposeScope();
    }

    /// <summary>The options; the rates may be others from one step to the next.</summary>
    public AdamWOptions Options { get; set; }

    /// <summary>Steps done.</summary>
    public int Step { get; set; }

    /// <summary>First moment of the gradient. [N]</summary>
    public Tensor Momentum { get; }

    /// <summary>Second moment of the gradient. [N]</summary>
    public Tensor Variance { get; }

    /// <summary>The averaged weights, those to generate with. [N]</summary>
    public Tensor Average { get; }

    /// <summary>Moves the weights. Returns the gradient's norm before clipping, on the device. []</summary>
    /// <param name="gradient">Is overwritten. [N]</param>
    public Tensor Update(Tensor gradient)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var rate = Options.RateAt(Step);
        Step++;
        var norm = gradient.norm();
        gradient.mul_((Options.MaxNorm / (norm + 1e-6)).clamp(max: 1));

        Momentum.mul_(Options.Beta1).add_(gradient, alpha: 1 - Options.Beta1);
        Variance.mul_(Options.Beta2).addcmul_(gradient, gradient, 1 - Options.Beta2);
        var root = Variance.sqrt().mul_(1 / Math.Sqrt(1 - Math.Pow(Options.Beta2, Step))).add_(Options.Eps);
        var master = _parameters.Master;
        if (Options.WeightDecay != 0)
        {
            master.addcmul_(master, _decayed, -rate * Options.WeightDecay);
        }

        master.addcdiv_(Momentum, root, -rate / (1 - Math.Pow(Options.Beta1, Step)));
        // At first the average would be mostly the drawn weights.
        var stays = Math.Min(Options.AverageDecay, (1.0 + Step) / (10 + Step));
        Average.mul_(stays).add_(master, alpha: 1 - stays);
        _parameters.Publish();
        return norm.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Momentum.Dispose();
        Variance.Dispose();
        Average.Dispose();
        _decayed.Dispose();
    }

    private static bool IsDecayed(string name, long[] shape) =>
        shape.Length >= 2 && name.EndsWith("weight", StringComparison.Ordinal) && !name.Contains("embedding.weight", StringComparison.Ordinal);
}
