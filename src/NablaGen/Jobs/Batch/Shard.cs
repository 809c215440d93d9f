using System.Globalization;

namespace NablaGen.Jobs.Batch;

/// <summary>
/// One machine's part of a batch: of n shards, shard i has the rows i, i + n, i + 2n… of the whole batch. Rows added at a file's end
/// change no other row's shard.
/// </summary>
/// <param name="Index">Which shard, from 1.</param>
/// <param name="Count">Of how many.</param>
/// <param name="Source">The variable that it was read from; null where a flag says it.</param>
public sealed record Shard(int Index, int Count, string? Source = null)
{
    /// <summary>Names how many shards there are where <c>JOB_COMPLETION_INDEX</c> says which this is.</summary>
    public const string CountVariable = "NABLAGEN_SHARD_COUNT";

    /// <summary>Everything.</summary>
    public static Shard Whole { get; } = new(1, 1);

    /// <summary>Whether a row is of this shard.</summary>
    /// <param name="row">The row's number, from 1.</param>
    public bool Has(int row) => (row - 1) % Count == Index - 1;

    /// <summary>Reads <c>i/n</c>.</summary>
    /// <exception cref="InvalidRequestException">It is not that.</exception>
    public static Shard Parse(string text) =>
        text.Split('/') is [var index, var count] && Number(index) is { } i && Number(count) is { } n && i >= 1 && i <= n
            ? new Shard(i, n)
            : throw new InvalidRequestException($"shard '{text}': expected i/n with i from 1 to n, such as 2/4");

    /// <summary>
    /// What a cluster says: a Slurm array's task (<c>SLURM_ARRAY_TASK_ID</c>, <c>_COUNT</c>, <c>_MIN</c>, <c>_STEP</c>), or a Kubernetes
    /// Indexed Job's (<c>JOB_COMPLETION_INDEX</c>, and <c>NABLAGEN_SHARD_COUNT</c> or <c>JOB_COMPLETIONS</c> for how many there are).
    /// </summary>
    /// <param name="variable">Gives a variable's value; null where it is not set.</param>
    /// <returns>The shard; the whole where nothing is said.</returns>
    /// <exception cref="InvalidRequestException">The variables do not fit together.</exception>
    public static Shard FromEnvironment(Func<string, string?> variable)
    {
        if (Value("SLURM_ARRAY_TASK_ID", variable) is { } task)
        {
            var first = Value("SLURM_ARRAY_TASK_MIN", variable) ?? 0;
            var step = Math.Max(Value("SLURM_ARRAY_TASK_STEP", variable) ?? 1, 1);
            var count = Value("SLURM_ARRAY_TASK_COUNT", variable)
                ?? throw new InvalidRequestException("SLURM_ARRAY_TASK_ID is set, but SLURM_ARRAY_TASK_COUNT is not: give --shard i/n");
            return Checked((task - first) / step, count, $"SLURM_ARRAY_TASK_ID={task}");
        }

        if (Value("JOB_COMPLETION_INDEX", variable) is { } index)
        {
            var count = Value(CountVariable, variable) ?? Value("JOB_COMPLETIONS", variable)
                ?? throw new InvalidRequestException(
                    $"JOB_COMPLETION_INDEX is set, but the number of shards is unknown: set {CountVariable} to the job's completions, or give --shard i/n");
            return Checked(index, count, $"JOB_COMPLETION_INDEX={index}");
        }

        return Whole;
    }

    /// <summary><c>2/4</c></summary>
    public override string ToString() => $"{Index}/{Count}";

    private static Shard Checked(int index, int count, string source) => index >= 0 && index < count
        ? new Shard(index + 1, count, source)
        : throw new InvalidRequestException($"{source} is outside the {count} shards (an array must be a range, such as 0-7): give --shard i/n");

    private static int? Value(string name, Func<string, string?> variable) => variable(name) is not { Length: > 0 } text
        ? null
        : Number(text) ?? throw new InvalidRequestException($"{name}: expected a whole number, found '{text}'");

    private static int? Number(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : null;
}
