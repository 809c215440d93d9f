using System.Text.Json;
using System.Text.Json.Serialization;
using NablaGen.Memory;

namespace NablaGen.Jobs.Batch;

/// <summary>What a group of GPUs tells of its rows, a line each: a call of <see cref="IBatchProgress"/> on its way to another process.</summary>
internal sealed record GroupEvent
{
    private static readonly JsonSerializerOptions Json = new()
    {
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Converters = { new JsonStringEnumConverter() },
    };

    public enum Call
    {
        None,
        Start,
        RowStart,
        RowDone,
        RowError,
        RowFailed,
        RowSkipped,
        Wait,
        Plan,
        Cut,
        Note,
        Stage,
        Estimate,
        Progress,
    }

    /// <summary>Which call.</summary>
    public required Call Of { get; init; }

    /// <summary>The row's number.</summary>
    public int Row { get; init; }

    /// <summary>The name that the row gets.</summary>
    public string? Name { get; init; }

    /// <summary>The rows to make.</summary>
    public IReadOnlyList<int>? Pending { get; init; }

    /// <summary>How the rows stood at the start.</summary>
    public BatchSummary? Summary { get; init; }

    /// <summary>The manifest's line, in its own form.</summary>
    public string? Entry { get; init; }

    /// <summary>A prompt, a note or an error in full.</summary>
    public string? Text { get; init; }

    /// <summary>Rows that are waited for, a prompt's tokens, a stage's units, or units that are done.</summary>
    public int Number { get; init; }

    /// <summary>Tokens that the model reads.</summary>
    public int Read { get; init; }

    public GenerationStage Stage { get; init; }

    public double? Density { get; init; }

    public TimeSpan Sampling { get; init; }

    public MemoryPlan? Plan { get; init; }

    public string ToLine() => JsonSerializer.Serialize(this, Json);

    /// <summary>A line's event; null where it is none, such as what a library prints.</summary>
    public static GroupEvent? Parse(string line)
    {
        try
        {
            return line.StartsWith('{') ? JsonSerializer.Deserialize<GroupEvent>(line, Json) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
