using NablaGen.Files;
using NablaGen.Generation;

namespace NablaGen.Cli.Output;

/// <summary>Shows how a generation goes: a bar on a terminal, plain lines elsewhere.</summary>
internal static class ProgressReport
{
    /// <summary>Whether somebody looks on who can be shown bars.</summary>
    public static bool IsInteractive => Terminal.HasBars;

    /// <summary>Runs the work with a report.</summary>
    public static T Run<T>(Func<IGenerationProgress, T> work) =>
        IsInteractive ? BarProgress.Run(progress => work(Logged(progress))) : RunPlain(Lines, work);

    /// <summary>Where lines of progress go: standard output is for what was made, unless somebody sees both as one.</summary>
    public static TextWriter Lines => Console.IsOutputRedirected ? Console.Error : Console.Out;

    /// <summary>Runs the work with a report in plain lines.</summary>
    public static T RunPlain<T>(TextWriter output, Func<IGenerationProgress, T> work) => RunWith(new PlainProgress(output), work);

    /// <summary>Runs the work with a report of its own.</summary>
    public static T RunWith<T>(IGenerationProgress progress, Func<IGenerationProgress, T> work) => work(Logged(progress));

    private static IGenerationProgress Logged(IGenerationProgress progress) =>
        LongJob.Current?.Log is { } log ? new LoggedProgress(progress, log) : progress;

    /// <summary>What is said of a prompt that is longer than what the model reads.</summary>
    public static string Cut(string prompt, int tokens, int read)
    {
        const int Shown = 40;
        var line = string.Join(' ', prompt.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        line = Line.Of(line, longest: 4 * Shown);
        var start = line.Length <= Shown ? line : $"{line[..(char.IsHighSurrogate(line[Shown - 1]) ? Shown - 1 : Shown)]}…";
        return $"note: the model reads the first {read} of this prompt's {tokens} tokens: \"{start}\"";
    }

    /// <summary>What a stage is called on the screen.</summary>
    public static string Name(GenerationStage stage) => stage switch
    {
        GenerationStage.Check => "checking",
        GenerationStage.EncodeText => "encoding text",
        GenerationStage.EncodeImage => "encoding pictures",
        GenerationStage.LoadTransformer => "loading transformer",
        GenerationStage.Measure => "measuring attention",
        GenerationStage.Sample => "sampling",
        GenerationStage.Decode => "decoding",
        _ => throw new ArgumentOutOfRangeException(nameof(stage)),
    };

    /// <summary>What a stage counts.</summary>
    public static string Unit(GenerationStage stage) => stage switch
    {
        GenerationStage.EncodeText => "prompt",
        GenerationStage.EncodeImage => "picture",
        GenerationStage.Measure => "pass",
        GenerationStage.Sample => "step",
        _ => "frame",
    };

    /// <summary>What is said of the time once the first layer is done.</summary>
    public static string Estimate(TimeSpan sampling) => $"sampling takes about {LongTime(sampling)} by its first layer; decoding comes on top";

    /// <summary>As <see cref="Time"/>, and in days beyond two of them.</summary>
    public static string LongTime(TimeSpan time) => JobLimit.Text(time) ?? Time(time);

    /// <summary>Seconds as 4.2 s, 3:05 or 1:02:03.</summary>
    public static string Time(TimeSpan time) => time.TotalSeconds < 60
        ? $"{time.TotalSeconds:0.0} s"
        : time.TotalHours < 1 ? $"{time.Minutes}:{time.Seconds:00}" : $"{(int)time.TotalHours}:{time.Minutes:00}:{time.Seconds:00}";
}
