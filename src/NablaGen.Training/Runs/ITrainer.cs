using static TorchSharp.torch;

namespace NablaGen.Training.Runs;

/// <summary>One model in training: what a run needs to know of it.</summary>
public interface ITrainer : IDisposable
{
    /// <summary>Its name in the output's files: <c>vae</c>, <c>dit</c> or <c>text</c>.</summary>
    string Name { get; }

    /// <summary>Steps done.</summary>
    int Step { get; }

    /// <summary>Clips seen a step.</summary>
    int Batch { get; }

    /// <summary>The learning rate of the next step.</summary>
    double LearningRate { get; }

    /// <summary>Steps of the whole training: the learning rate has fallen by the last.</summary>
    int Steps { get; set; }

    /// <summary>What <see cref="Advance"/> measures; the first is the loss that falls.</summary>
    IReadOnlyList<string> Measures { get; }

    /// <summary>Gets the clips of the next step ready. Slow the first time.</summary>
    /// <param name="onGroup">Is told of each group of clips made the first time: how many of how many.</param>
    /// <param name="cancellation">Stops it.</param>
    void Prepare(Action<int, int>? onGroup, CancellationToken cancellation);

    /// <summary>Does one step, without waiting for the device.</summary>
    /// <returns>The measures, on the device. [Measures]</returns>
    Tensor Advance();

    /// <summary>Writes the state to go on from, aside first.</summary>
    void Save(string path);

    /// <summary>Reads a state.</summary>
    /// <exception cref="NablaGenException">It is bad or of another model.</exception>
    void Resume(string path);

    /// <summary>Shows what the averaged weights make, at fixed inputs: rows of frames. Null where there is nothing to look at. [3, 1, H, W] in [−1, 1] on the CPU</summary>
    Tensor? Picture();

    /// <summary>Writes the averaged weights, and what is to be known with them, into a model folder.</summary>
    /// <returns>What to tell of them, such as the quality; empty if there is nothing.</returns>
    string Export(string folder);
}
