using NablaGen.Training.Runs;
using Spectre.Console;

namespace NablaGen.Cli.Output;

/// <summary>Shows how a training goes: a bar on a terminal, plain lines elsewhere.</summary>
internal static class TrainingReport
{
    /// <summary>Runs the work with a report.</summary>
    public static T Run<T>(string name, Func<ITrainingProgress, T> work) =>
        ProgressReport.IsInteractive ? Bar.Run(name, work) : work(new Lines(name));

    private static string Text(LossRecord record, int steps) =>
        $"step {record.Step}/{steps}, loss {record.Loss:0.0000}, {record.StepsPerSecond:0.00} steps/s, {record.ClipsPerSecond:0} clips/s";

    private sealed class Lines(string name) : ITrainingProgress
    {
        public void OnClips(int done, int groups)
        {
            if (done == 1 || done == groups)
            {
                Console.WriteLine($"{name}: making clips {done}/{groups}");
            }
        }

        public void OnSteps(LossRecord record, int steps, TimeSpan left)
        {
            var rest = string.Join(", ", record.Measures.Skip(1).Select(measure => $"{measure.Key} {measure.Value:G3}"));
            Console.WriteLine($"{name}: {Text(record, steps)}, {rest}, rate {record.LearningRate:G3}, ETA {ProgressReport.Time(left)}");
        }

        public void OnNote(string note) => Console.WriteLine($"{name}: {note}");
    }

    private sealed class Bar(string name, ProgressContext context) : ITrainingProgress
    {
        private ProgressTask? _task;

        public static T Run<T>(string name, Func<ITrainingProgress, T> work) => AnsiConsole.Progress()
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn { Width = 24 })
            .Start(context => work(new Bar(name, context)));

        public void OnClips(int done, int groups) => Show($"{name}: making clips {done}/{groups}", done, groups);

        public void OnSteps(LossRecord record, int steps, TimeSpan left) =>
            Show($"{name}: {Text(record, steps)}, ETA {ProgressReport.Time(left)}", record.Step, steps);

        public void OnNote(string note) => Wrapped.WriteAboveBars($"{name}: {note}");

        private void Show(string text, int done, int all)
        {
            _task ??= context.AddTask(Markup.Escape(text));
            _task.Description = Markup.Escape(text);
            (_task.MaxValue, _task.Value) = (all, done);
        }
    }
}
