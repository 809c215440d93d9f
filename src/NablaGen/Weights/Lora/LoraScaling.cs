using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using NablaGen.Files;

namespace NablaGen.Weights.Lora;

/// <summary>
/// What a product B A is multiplied by where its file has no <c>.alpha</c>: α / r, or α / √r of a rank-stabilised LoRA, as peft's
/// <c>adapter_config.json</c> or diffusers' note in the file's header says; 1 where nothing says anything.
/// </summary>
internal sealed class LoraScaling
{
    private const string DiffusersKey = "lora_adapter_metadata";
    private const string DiffusersPart = "transformer.";

    private readonly string _path;
    private readonly double? _alpha;
    private readonly bool _isRankStabilised;
    private readonly List<(string Pattern, double Alpha)> _patterns = [];

    private LoraScaling(string path, Func<string, JsonElement?> settings)
    {
        _path = path;
        foreach (var (key, what) in new[] { ("use_dora", "DoRA"), ("fan_in_fan_out", "transposed weights"), ("use_qalora", "QALoRA"), ("use_bdlora", "BD-LoRA") })
        {
            if (settings(key) is { ValueKind: JsonValueKind.True })
            {
                throw new NablaGenException($"{path}: \"{key}\" is true: {what} cannot be merged");
            }
        }

        if (settings("peft_type") is { ValueKind: JsonValueKind.String } type && type.GetString() != "LORA")
        {
            throw new NablaGenException($"{path}: \"peft_type\": expected \"LORA\", found {Line.Key(type.GetString()!)}");
        }

        _isRankStabilised = settings("use_rslora") is { ValueKind: JsonValueKind.True };
        _alpha = settings("lora_alpha") is { ValueKind: not JsonValueKind.Null } alpha ? Number("lora_alpha", alpha) : null;
        if (settings("alpha_pattern") is { ValueKind: JsonValueKind.Object } patterns)
        {
            _patterns.AddRange(patterns.EnumerateObject().Select(pattern => (pattern.Name, Number("alpha_pattern", pattern.Value))));
        }
    }

    /// <summary>Reads what stands beside a file or in its header.</summary>
    /// <param name="choice">The LoRA.</param>
    /// <param name="source">Its tensors.</param>
    /// <exception cref="NablaGenException">The settings are no JSON, or ask for what cannot be merged.</exception>
    public static LoraScaling Read(LoraChoice choice, ITensorSource source)
    {
        if (choice.ConfigPath is { } config)
        {
            using var document = JsonFile.Read(config);
            return Of(document.RootElement, config, "");
        }

        if (source is SafetensorsFile file && file.Metadata.TryGetValue(DiffusersKey, out var json))
        {
            using var document = JsonFile.Parse(Encoding.UTF8.GetBytes(json), file.Path, $"\"{DiffusersKey}\" ");
            return Of(document.RootElement, file.Path, DiffusersPart);
        }

        return new LoraScaling(source.Path, _ => null);
    }

    /// <summary>The factor of a module.</summary>
    /// <param name="module">The module's name, without a prefix.</param>
    /// <param name="rank">Its rank.</param>
    /// <param name="alpha">What its <c>.alpha</c> says; null where it has none.</param>
    public double Factor(string module, long rank, double? alpha)
    {
        var found = alpha ?? _patterns.Where(pattern => Fits(pattern.Pattern, module)).Select(pattern => (double?)pattern.Alpha).FirstOrDefault() ?? _alpha;
        return found is null ? 1 : found.Value / (_isRankStabilised ? Math.Sqrt(rank) : rank);
    }

    private static LoraScaling Of(JsonElement json, string path, string prefix) => json.ValueKind != JsonValueKind.Object
        ? throw new NablaGenException($"{path}: expected an object with the LoRA's settings, found {JsonKinds.Name(json.ValueKind)}")
        : new LoraScaling(path, key => json.TryGetProperty(prefix + key, out var value) ? value.Clone() : null);

    private double Number(string key, JsonElement value) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && double.IsFinite(number)
            ? number
            : throw new NablaGenException($"{_path}: \"{key}\": expected a number, found {Line.Of(value.ValueKind == JsonValueKind.Number ? value.GetRawText() : JsonKinds.Name(value.ValueKind))}");

    // As peft: the pattern is a regular expression for the end of a module's name.
    private bool Fits(string pattern, string module)
    {
        try
        {
            return Regex.IsMatch(module, $@"^(.*\.)?({pattern})$", RegexOptions.NonBacktracking);
        }
        catch (Exception error) when (error is ArgumentException or NotSupportedException)
        {
            throw new NablaGenException($"{_path}: \"alpha_pattern\": {Line.Key(pattern)} is no pattern: {Line.Of(error.Message)}", error);
        }
    }
}
