using System.Globalization;
using NablaGen.Files;
using NablaGen.Generation;

namespace NablaGen.Jobs.Batch;

/// <summary>The keys and values of one row, as text; errors say where the row is.</summary>
internal sealed class RowValues(string where)
{
    private static readonly string[] Keys =
    [
        "prompt", "negative-prompt", "attention", "threshold", "target-density", "dense-steps", "dense-layers", "width", "height", "frames",
        "fps", "steps", "solver", "shift", "guidance", "seed",
    ];

    // Options of generate that cannot differ from row to row.
    private static readonly string[] SharedKeys = ["model", "device", "dtype", "output", "latents"];

    private readonly Dictionary<string, string> _values = [];

    /// <summary>The key as an option is spelt: <c>Negative_Prompt</c> → <c>negative-prompt</c>.</summary>
    /// <exception cref="InvalidRequestException">There is no such option, or rows cannot have it.</exception>
    public static string Key(string key, string where)
    {
        var name = key.Trim().ToLowerInvariant().Replace('_', '-').Replace(' ', '-');
        if (Keys.Contains(name))
        {
            return name;
        }

        throw new InvalidRequestException(SharedKeys.Contains(name)
            ? $"{where}: {Line.Key(key)} is the same for all rows, and belongs to the command line"
            : $"{where}: unknown key {Line.Key(key)}: use {string.Join(", ", Keys)}");
    }

    /// <summary>Whether a word is such a key, of a row or of the command line.</summary>
    public static bool IsKey(string word)
    {
        var name = word.Trim().ToLowerInvariant().Replace('_', '-').Replace(' ', '-');
        return Keys.Contains(name) || SharedKeys.Contains(name);
    }

    /// <summary>Takes a value.</summary>
    /// <exception cref="InvalidRequestException">The key is unknown, or comes twice.</exception>
    public void Add(string key, string value)
    {
        if (!_values.TryAdd(Key(key, where), value))
        {
            throw new InvalidRequestException($"{where}: the key {Line.Key(key)} comes twice");
        }
    }

    /// <summary>The row.</summary>
    /// <exception cref="InvalidRequestException">A value is wrong.</exception>
    public PromptRow ToRow()
    {
        if (string.IsNullOrWhiteSpace(Text("prompt")))
        {
            throw new InvalidRequestException($"{where}: the prompt is empty");
        }

        var (threshold, density) = (Number("threshold"), Number("target-density"));
        try
        {
            return new PromptRow(where, new PartialRequest
            {
                Prompt = Text("prompt"),
                NegativePrompt = Text("negative-prompt"),
                Attention = PartialRequest.ParseAttention(Text("attention"), threshold, density),
                TargetDensity = density,
                DenseSteps = (int?)Whole("dense-steps", int.MaxValue),
                DenseLayers = (int?)Whole("dense-layers", int.MaxValue),
                Width = (int?)Whole("width", int.MaxValue),
                Height = (int?)Whole("height", int.MaxValue),
                Frames = (int?)Whole("frames", int.MaxValue),
                Fps = (int?)Whole("fps", int.MaxValue),
                Steps = (int?)Whole("steps", int.MaxValue),
                Solver = Text("solver"),
                Shift = Number("shift"),
                Guidance = Number("guidance"),
                Seed = Whole("seed", long.MaxValue),
            });
        }
        catch (InvalidRequestException error) when (!error.Message.StartsWith(where, StringComparison.Ordinal))
        {
            throw new InvalidRequestException($"{where}: {error.Message}");
        }
    }

    private string? Text(string key) => _values.GetValueOrDefault(key);

    private long? Whole(string key, long largest) =>
        Text(key) is not { } text ? null
        : long.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out var value) && value <= largest && value >= int.MinValue ? value
        : throw new InvalidRequestException($"{where}: {key}: '{Line.Of(text)}' is not a whole number");

    private double? Number(string key) =>
        Text(key) is not { } text ? null
        : double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) ? value
        : throw new InvalidRequestException($"{where}: {key}: '{Line.Of(text)}' is not a number");
}
