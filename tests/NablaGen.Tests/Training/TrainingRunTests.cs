using NablaGen.Training.Optimization;
using NablaGen.Training.Runs;

namespace NablaGen.Tests.Training;

[Collection(nameof(AloneCollection))]
public sealed class TrainingRunTests : IDisposable
{
    private readonly TempFolder _folder = new();

    [Fact]
    public void Stopped_it_saves_what_it_has_learnt()
    {
        using var trainer = Toys.Dit(new SlidingSquares());
        using var stop = new CancellationTokenSource();
        var run = new TrainingRun(trainer, _folder.Path, new Progress(_ => stop.Cancel()));
        Assert.Throws<OperationCanceledException>(() => run.Train(new RunLimits { Steps = 100, RecordEvery = 2 }, stop.Token));

        var files = new TrainingFolder(_folder.Path, "dit");
        Assert.Equal(2, TrainingState.Notes(files.State).Step);
        Assert.Equal([2], new LossLog(files.Log, 2).Course.Select(point => point.Step));
        Assert.True(File.Exists(files.Picture(2)));
        Assert.DoesNotContain(_folder.Files, file => file.EndsWith(".partial"));
    }

    [Fact]
    public void It_stops_when_its_time_is_over_and_leaves_the_last_state()
    {
        using var trainer = Toys.Dit(new SlidingSquares());
        // Its time begins with the first record, so that a busy machine makes a step in it.
        var clock = new System.Diagnostics.Stopwatch();
        var time = TimeSpan.FromSeconds(0.3);
        new TrainingRun(trainer, _folder.Path, new Progress(_ => clock.Start())).Train(
            new RunLimits { Steps = 1_000_000, RecordEvery = 2, Time = time, Clock = clock }, default);
        Assert.True(clock.Elapsed >= time);
        Assert.InRange(trainer.Step, 1, 999_999);
        Assert.Equal(trainer.Step, TrainingState.Notes(new TrainingFolder(_folder.Path, "dit").State).Step);

        var step = trainer.Step;
        new TrainingRun(trainer, _folder.Path, new Progress(_ => Assert.Fail("a step after the time"))).Train(
            new RunLimits { Steps = 1_000_000, Time = TimeSpan.Zero }, default);
        Assert.Equal(step, trainer.Step);
    }

    [Fact]
    public void The_log_of_a_run_that_was_cut_off_goes_back_to_the_state()
    {
        var path = _folder["x.jsonl"];
        var log = new LossLog(path, 0);
        foreach (var step in new[] { 10, 20, 30 })
        {
            log.Add(new LossRecord(step, new Dictionary<string, double> { ["loss"] = 1.0 / step }, 1e-3, 2, 8));
        }

        Assert.Equal([10, 20], new LossLog(path, 20).Course.Select(point => point.Step));
        Assert.Equal(2, File.ReadAllLines(path).Length);
        // Half a line at the end, as a full disk or a power cut leaves it, costs only itself; further up it is none of ours.
        File.AppendAllText(path, "{\"step\": 30, \"loss\": 0.");
        Assert.Equal([10, 20], new LossLog(path, 20).Course.Select(point => point.Step));
        Assert.Equal(2, File.ReadAllLines(path).Length);
        File.AppendAllText(path, "{\"step\": \n{\"step\": 30, \"loss\": 1}\n");
        var error = Assert.Throws<NablaGenException>(() => new LossLog(path, 20));
        Assert.StartsWith($"{path}: not the log of a training", error.Message);
    }

    [Fact]
    public void A_log_that_cannot_be_written_does_not_end_the_training()
    {
        var path = _folder["x.jsonl"];
        var log = new LossLog(path, 0);
        File.Delete(path);
        Directory.CreateDirectory(path);
        var record = new LossRecord(10, new Dictionary<string, double> { ["loss"] = 1 }, 1e-3, 2, 8);
        Assert.Contains("the log ends here", log.Add(record));
        Assert.Null(log.Add(record));
        Assert.Equal(2, log.Course.Count);
    }

    [Fact]
    public void A_folder_with_sizes_alone_has_learnt_nothing()
    {
        Assert.False(TrainingFolder.HasWeights(_folder["none"]));
        File.WriteAllText(_folder["config.json"], "{}");
        Assert.False(TrainingFolder.HasWeights(_folder.Path));
        Directory.CreateDirectory(_folder["training"]);
        File.WriteAllText(_folder["training/vae.state.safetensors"], "");
        Assert.True(TrainingFolder.HasWeights(_folder.Path));
    }

    public void Dispose() => _folder.Dispose();

    private sealed class Progress(Action<LossRecord> onSteps) : ITrainingProgress
    {
        public void OnClips(int done, int groups)
        {
        }

        public void OnSteps(LossRecord record, int steps, TimeSpan left) => onSteps(record);

        public void OnNote(string note)
        {
        }
    }
}
