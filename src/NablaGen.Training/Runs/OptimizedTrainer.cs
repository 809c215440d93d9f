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
}
