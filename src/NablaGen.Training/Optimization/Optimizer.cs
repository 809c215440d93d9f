using NablaGen.Models.Wan;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Training.Optimization;

/// <summary>
/// AdamW with decoupled decay over one flat vector, gradient clipping and an average of the weights; a dozen operations a step, none of
/// which waits for the device. The matrices inside the model may take Muon's steps instead.
/// </summary>
public sealed class Optimizer : IDisposable
{
    private readonly FlatParameters _parameters;
    private readonly Tensor _decayed;
    private readonly Tensor _fresh;
    private readonly Tensor? _relative;
    private readonly Muon? _muon;

    /// <summary>An optimiser at step 0; the average starts as the weights.</summary>
    public Optimizer(FlatParameters parameters, OptimizerOptions options)
    {
        using var noGrad = no_grad();
        _parameters = parameters;
        Options = options;
        Momentum = zeros_like(parameters.Master).DetachFromDisposeScope();
        Variance = zeros_like(parameters.Master).DetachFromDisposeScope();
        Average = parameters.Master.clone().DetachFromDisposeScope();
        _muon = options.Method == OptimizerMethod.Muon ? new Muon(parameters, IsHidden) : null;
        _decayed = parameters.Mask((name, shape) => IsDecayed(name, shape) ? 1 : 0).DetachFromDisposeScope();
        _fresh = parameters.Mask((name, shape) => (float)(1 - (_muon is not null && IsHidden(name, shape) ? options.MuonBeta : options.Beta1)))
            .DetachFromDisposeScope();
        _relative = options.RelativeRate is { } relative ? parameters.Mask(relative).DetachFromDisposeScope() : null;
    }

    /// <summary>The options; the rates may be others from one step to the next.</summary>
    public OptimizerOptions Options { get; set; }

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
        gradient.mul_(norm.Plus(1e-6).DividedInto(Options.MaxNorm).AtMost(1));

        Momentum.lerp_(gradient, _fresh);
        Variance.Times_(Options.Beta2).PlusProduct_(gradient, gradient, 1 - Options.Beta2);
        var root = Variance.sqrt().Times_(1 / Math.Sqrt(1 - Math.Pow(Options.Beta2, Step))).Plus_(Options.Eps);
        var master = _parameters.Master;
        if (Options.WeightDecay != 0)
        {
            master.PlusProduct_(master, _decayed, -rate * Options.WeightDecay);
        }

        var steps = root.reciprocal_().mul_(Momentum).Times_(1 / (1 - Math.Pow(Options.Beta1, Step)));
        // Nesterov's momentum: where the next one would be if the gradient stayed.
        _muon?.Write(Momentum.lerp(gradient, _fresh), steps);
        if (_relative is not null)
        {
            steps.mul_(_relative);
        }

        master.Plus_(steps, -rate);
        // At first the average would be mostly the drawn weights.
        var stays = Math.Min(Options.AverageDecay, (1.0 + Step) / (10 + Step));
        Average.Times_(stays).Plus_(master, 1 - stays);
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
        _fresh.Dispose();
        _relative?.Dispose();
    }

    private static bool IsDecayed(string name, long[] shape) =>
        shape.Length >= 2 && name.EndsWith("weight", StringComparison.Ordinal) && !name.Contains("embedding.weight", StringComparison.Ordinal);

    // Muon's are the matrices from one hidden layer to another.
    private static bool IsHidden(string name, long[] shape) => IsDecayed(name, shape) && WanKeys.IsHidden(name);
}
