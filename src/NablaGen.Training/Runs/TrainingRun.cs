using System.Diagnostics;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Training.Runs;

/// <summary>
/// One run of a training: steps until its time or its steps are over or it is stopped, then a checkpoint, the model's files and a picture.
/// </summary>
/// <param name="trainer">What is trained.</param>
/// <param name="folder">The model folder in the making; what is the training's own goes to <see cref="TrainingFolder"/>.</param>
/// <param name="progress">Is told how it goes.</param>
public sealed class TrainingRun(ITrainer trainer, string folder, ITrainingProgress progress)
{
    private readonly TrainingFolder _files = new(folder, trainer.Name);

    /// <summary>Trains.</summary>
    /// <param name="limits">How long.</param>
    /// <param name="cancellation">Stops after the step in work; what was learnt is saved.</param>
    /// <exception cref="OperationCanceledException">It was cancelled; the checkpoint is written.</exception>
    /// <exception cref="NablaGenException">The loss is NaN or infinite, or a file can't be written.</exception>
    public void Train(RunLimits limits, CancellationToken cancellation)
    {
        var log = new LossLog(_files.Log, trainer.Step);
        if (GoesOn(limits, cancellation))
        {
            trainer.Prepare(progress.OnClips, cancellation);
        }

        var first = trainer.Step;
        var saved = limits.Clock.Elapsed;
        while (GoesOn(limits, cancellation))
        {
            RunSteps(limits, log, cancellation);
            if (limits.PictureEvery > 0 && trainer.Step / limits.PictureEvery > first / limits.PictureEvery)
            {
                first = trainer.Step;
                WritePicture();
            }

            if (limits.Clock.Elapsed - saved > limits.SaveEvery)
            {
                trainer.Save(_files.State);
                saved = limits.Clock.Elapsed;
            }
        }

        Finish(log);
        cancellation.ThrowIfCancellationRequested();
    }

    // As many steps as a record takes, fewer at the end.
    private void RunSteps(RunLimits limits, LossLog log, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        var watch = Stopwatch.StartNew();
        var sum = zeros([trainer.Measures.Count]);
        var (count, rate) = (0, 0.0);
        while (count < limits.RecordEvery && GoesOn(limits, cancellation))
        {
            trainer.Prepare(null, CancellationToken.None);
            rate = trainer.LearningRate;
            using var measures = trainer.Advance();
            if (count++ == 0)
            {
                sum = zeros_like(measures);
            }

            sum.Plus_(measures);
        }

        if (count == 0)
        {
            return;
        }

        // The one place that waits for the device.
        var values = sum.Over(count).cpu().data<float>().ToArray();
        NativeHeap.Collect();
        var perSecond = count / watch.Elapsed.TotalSeconds;
        var record = new LossRecord(
            trainer.Step, trainer.Measures.Zip(values).ToDictionary(pair => pair.First, pair => (double)pair.Second), rate, perSecond, perSecond * trainer.Batch);
        if (!values.All(float.IsFinite))
        {
            throw new NablaGenException($"the loss is NaN or infinite at step {trainer.Step}: resume from {_files.State} with a lower --learning-rate");
        }

        if (log.Add(record) is { } trouble)
        {
            progress.OnNote(trouble);
        }

        if (limits.Anneals && limits.Time - limits.Clock.Elapsed is { } rest)
        {
            trainer.Steps = trainer.Step + (int)Math.Clamp(rest.TotalSeconds * perSecond, 1, int.MaxValue / 2);
        }

        var left = TimeSpan.FromSeconds((Steps(limits) - trainer.Step) / perSecond);
        progress.OnSteps(record, Steps(limits), limits.Time - limits.Clock.Elapsed is { } time && time < left ? TimeSpan.FromTicks(Math.Max(0, time.Ticks)) : left);
    }

    private int Steps(RunLimits limits) => limits.Anneals ? trainer.Steps : limits.Steps;

    private bool GoesOn(RunLimits limits, CancellationToken cancellation) =>
        (limits.Anneals || trainer.Step < limits.Steps) && !(limits.Clock.Elapsed >= limits.Time) && !cancellation.IsCancellationRequested;

    private void Finish(LossLog log)
    {
        if (trainer.Step == 0)
        {
            return;
        }

        trainer.Save(_files.State);
        progress.OnNote($"step {trainer.Step}: state in {_files.State}");
        var quality = trainer.Export(folder);
        progress.OnNote($"the averaged weights are in {folder}{(quality.Length > 0 ? ": " : "")}{quality}");
        WritePicture();
        if (LossPlot.Save(_files.Plot, trainer.Name, log.Course) is { } trouble)
        {
            progress.OnNote($"no {Path.GetFileName(_files.Plot)}: {trouble}");
        }
    }

    private void WritePicture()
    {
        using var picture = trainer.Picture();
        if (picture is null)
        {
            return;
        }

        NativeHeap.Collect();
        var path = _files.Picture(trainer.Step);
        ClipSheet.Save(path, picture);
        progress.OnNote($"picture {path}");
    }
}
