using NablaGen.Distributed;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Training.Runs;

/// <summary>
/// A training on several GPUs, as rank 0 runs it: before each step it tells the others that there is one. Each rank takes as many clips, of its
/// own, and all move their weights by the mean of their gradients, so that the weights stay the same.
/// </summary>
/// <param name="trainer">This rank's trainer; stays the caller's.</param>
/// <param name="world">The ranks, each other of which calls <see cref="Follow"/>.</param>
public sealed class RankedTrainer(OptimizedTrainer trainer, ICommunicator world) : ITrainer
{
    private const int End = -1;

    // As many as between two records of a run.
    private const int StepsBetweenCollections = 20;

    /// <inheritdoc/>
    public string Name => trainer.Name;

    /// <inheritdoc/>
    public int Step => trainer.Step;

    /// <summary>Clips in a step of all ranks.</summary>
    public int Batch => trainer.Batch * world.Size;

    /// <inheritdoc/>
    public double LearningRate => trainer.LearningRate;

    /// <inheritdoc/>
    public int Steps
    {
        get => trainer.Steps;
        set => trainer.Steps = value;
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> Measures => trainer.Measures;

    /// <summary>Another rank's part: a step whenever rank 0 begins one, until it ends.</summary>
    /// <param name="trainer">This rank's trainer, with the weights, the seed and the step of rank 0's.</param>
    /// <param name="world">The ranks.</param>
    /// <param name="cancellation">Stops while clips are made.</param>
    public static void Follow(OptimizedTrainer trainer, ICommunicator world, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(trainer);
        ArgumentNullException.ThrowIfNull(world);
        trainer.World = world;
        trainer.Prepare(null, cancellation);
        for (var steps = Told(world, []); steps != End; steps = Told(world, []))
        {
            trainer.Steps = steps;
            trainer.Prepare(null, cancellation);
            trainer.Advance().Dispose();
            if (trainer.Step % StepsBetweenCollections == 0)
            {
                NativeHeap.Collect();
            }
        }
    }

    /// <inheritdoc/>
    public void Prepare(Action<int, int>? onGroup, CancellationToken cancellation) => trainer.Prepare(onGroup, cancellation);

    /// <inheritdoc/>
    public Tensor Advance()
    {
        trainer.World = world;
        Told(world, BitConverter.GetBytes(trainer.Steps));
        return trainer.Advance();
    }

    /// <summary>Lets the others go; the weights are the trainer's.</summary>
    public void Complete() => Told(world, BitConverter.GetBytes(End));

    /// <inheritdoc/>
    public void Save(string path) => trainer.Save(path);

    /// <inheritdoc/>
    public void Resume(string path) => trainer.Resume(path);

    /// <inheritdoc/>
    public Tensor? Picture() => trainer.Picture();

    /// <inheritdoc/>
    public string Export(string folder) => trainer.Export(folder);

    /// <summary>Nothing: the trainer is the caller's.</summary>
    public void Dispose()
    {
    }

    // What rank 0 says. The others may still make their first clips, or rank 0 write files.
    private static int Told(ICommunicator world, byte[] own) => BitConverter.ToInt32(world.Share(own, isPatient: true)[0]);
}
