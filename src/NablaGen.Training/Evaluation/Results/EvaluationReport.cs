using System.Text;
using System.Text.Json;
using NablaGen.Files;
using NablaGen.Generation;

namespace NablaGen.Training.Evaluation.Results;

/// <summary>What an evaluation found: <c>results.json</c>.</summary>
public sealed record EvaluationReport
{
    /// <summary>The file's name.</summary>
    public const string FileName = "results.json";

    private static readonly JsonSerializerOptions Indented = new(RowFile.Json) { WriteIndented = true };

    /// <summary>The number of the rules that the videos were judged by.</summary>
    public int Rules { get; init; } = ClipScorer.Rules;

    /// <summary>Prompts whose combinations training shows.</summary>
    public required int SeenPrompts { get; init; }

    /// <summary>Prompts whose combinations training never shows.</summary>
    public required int HeldOutPrompts { get; init; }

    /// <summary>The seeds that each prompt was made with.</summary>
    public required IReadOnlyList<long> Seeds { get; init; }

    /// <summary>What all videos share: the dense one of the first prompt and seed.</summary>
    public required Recipe Recipe { get; init; }

    /// <summary>By attention; the first is dense.</summary>
    public required IReadOnlyList<ExpressionResult> Expressions { get; init; }

    /// <summary>Writes <see cref="FileName"/>, the table and the plot into a folder, each aside first.</summary>
    /// <param name="folder">The folder; made if it is not there.</param>
    /// <returns>What is in the way of the plot where pictures cannot be made; else null.</returns>
    /// <exception cref="NablaGenException">A file cannot be written.</exception>
    public string? Save(string folder)
    {
        Write(FileName, JsonSerializer.Serialize(this, Indented) + "\n");
        Write(ResultsTable.FileName, ResultsTable.Markdown(this));
        return QualityPlot.Save(Path.Combine(folder, QualityPlot.FileName), this);

        void Write(string name, string text) => OutputFile.Write(Path.Combine(folder, name), file => file.Write(Encoding.UTF8.GetBytes(text)));
    }
}
