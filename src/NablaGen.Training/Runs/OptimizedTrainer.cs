using NablaGen.Distributed;
using NablaGen.Tensors;
using NablaGen.Training.Optimization;
using static TorchSharp.torch;

namespace NablaGen.Training.Runs;

/// <summary>A trainer whose steps, learning rate and length are its optimiser's.</summary>
public abstract class OptimizedTrainer : ITrainer
{
    /// <inheritdoc/>
    public abstract string Name { get; }

    /// <inheritdoc/>
    public abstract int Batch { get; }

    /// <inheritdoc/>
    public abstract IReadOnlyList<string> Measures { get; }

    /// <summary>The weights in training.</summary>
    public abstract FlatParameters Parameters { get; }

    /// <inheritdoc/>
    public int Step => Optimizer.Step;

    /// <inheritdoc/>
    public double LearningRate => Optimizer.Options.RateAt(Step);

    /// <inheritdoc/>
    public int Steps
    {
        get => Optimizer.Options.Steps;
        set => Optimizer.Options = Optimizer.Options with { Steps = value };
    }

    /// <summary>The ranks that train these weights together, each with clips and draws of its own; null for this device alone.</summary>
    public ICommunicator? World { get; set; }

    /// <summary>What moves the weights.</summary>
    protected abstract Optimizer Optimizer { get; }

    /// <inheritdoc/>
    public abstract void Prepare(Action<int, int>? onGroup, CancellationToken cancellation);

    /// <inheritdoc/>
    public abstract Tensor Advance();

    /// <inheritdoc/>
    public void Save(string path) => TrainingState.Save(path, Parameters, Optimizer, new Dictionary<string, string>());

    /// <inheritdoc/>
    public void Resume(string path) => TrainingState.Load(path, Parameters, Optimizer);

    /// <inheritdoc/>
    public abstract Tensor? Picture();

    /// <inheritdoc/>
    public abstract string Export(string folder);

    /// <inheritdoc/>
    public abstract void Dispose();

    /// <summary>The mean of all ranks' gradients, the same bits on each: they are added in the order of the ranks.</summary>
    /// <param name="gradient">This rank's; its own result where there is no other. [N]</param>
    protected Tensor Mean(Tensor gradient)
    {
        if (World is null)
        {
            return gradient;
        }

        using var scope = NewDisposeScope();
        var own = gradient.contiguous();
        var parts = Enumerable.Range(0, World.Size).Select(rank => rank == World.Rank ? own : empty_like(own)).ToArray();
        int[] others = [.. Enumerable.Range(0, World.Size).Where(rank => rank != World.Rank)];
        World.Exchange([.. others.Select(rank => new Transfer(rank, own))], [.. others.Select(rank => new Transfer(rank, parts[rank]))]);
        var sum = parts[0].clone();
        foreach (var part in parts[1..])
        {
            sum.Plus_(part);
        }

        return sum.Over(World.Size).MoveToOuterDisposeScope();
    }
}
