using NablaGen.Generation;

namespace NablaGen.Cli.Output;

/// <summary>How a run is told: to a person, to a program, or to nobody.</summary>
internal abstract class RunReport
{
    /// <summary>That of a command line.</summary>
    /// <param name="command">The command's name.</param>
    /// <param name="json">Whether a program reads it.</param>
    /// <param name="quiet">Whether nobody does.</param>
    public static RunReport Of(string command, bool json, bool quiet) => json ? new JsonReport(Console.Out, command) : quiet ? new QuietReport() : new TextReport();

    /// <summary>Does the run's work; whatever way it ends, a program is told.</summary>
    /// <param name="work">Gives the exit code.</param>
    /// <param name="cancellation">Says whether a failure is the user's signal.</param>
    public virtual int Run(Func<int> work, CancellationToken cancellation) => work();

    /// <summary>Does a part of the work with a report of its stages.</summary>
    public abstract T Watch<T>(Func<IGenerationProgress, T> work);

    /// <summary>A larger part begins, such as a comparison's next expression.</summary>
    public abstract void Part(string text);

    /// <summary>A video is made.</summary>
    /// <param name="result">It.</param>
    /// <param name="others">What else was written: a name, and a path or null.</param>
    public void Made(GenerationResult result, params IReadOnlyList<(string Name, string? Path)> others)
    {
        LongJob.Current?.Done(result);
        if (result.FlatFrames is { Count: > 0 } flat)
        {
            Console.Error.WriteLine($"nablagen: warning: of a single colour: frame{(flat.Count == 1 ? "" : "s")} {string.Join(", ", flat)}"
                + (result.Recipe.Precision is null && result.Recipe.AttentionPrecision is null ? "" : "; in 16 bits it may not be: try --precision bf16 --attention-precision bf16"));
        }

        Show(result, [.. others.Where(other => other.Path is not null).Select(other => (other.Name, other.Path!))]);
    }

    /// <summary>What would be made, and what it would take.</summary>
    public abstract void Outlook(DryRun run);

    /// <summary>Whether a result is printed in words, as a table for example.</summary>
    public virtual bool IsText => false;

    /// <summary>A result that is no single video.</summary>
    /// <param name="fields">Its fields, for a program.</param>
    public virtual void Done(System.Text.Json.Nodes.JsonObject fields)
    {
    }

    /// <summary>Shows what was made.</summary>
    protected abstract void Show(GenerationResult result, IReadOnlyList<(string Name, string Path)> others);

    private sealed class TextReport : RunReport
    {
        public override bool IsText => true;

        public override T Watch<T>(Func<IGenerationProgress, T> work) => ProgressReport.Run(work);

        public override void Part(string text) => ProgressReport.Lines.WriteLine(text);

        public override void Outlook(DryRun run) => run.Write();

        protected override void Show(GenerationResult result, IReadOnlyList<(string Name, string Path)> others)
        {
            Summary.Write(result);
            foreach (var (name, path) in others)
            {
                Summary.Line(name, path);
            }
        }
    }

    // Warnings and errors are on the error stream as ever.
    private sealed class QuietReport : RunReport
    {
        public override T Watch<T>(Func<IGenerationProgress, T> work) => ProgressReport.RunWith(new Nothing(), work);

        public override void Part(string text)
        {
        }

        public override void Outlook(DryRun run)
        {
        }

        protected override void Show(GenerationResult result, IReadOnlyList<(string Name, string Path)> others)
        {
        }

        private sealed class Nothing : IGenerationProgress
        {
            public void OnStage(GenerationStage stage, int units)
            {
            }

            public void OnProgress(int done, double? density)
            {
            }
        }
    }
}
