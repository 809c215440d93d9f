using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using NablaGen.Attention;

namespace NablaGen.Generation;

/// <summary>Everything that makes a video what it is: goes into the MP4, the latents and the <c>.json</c> beside them.</summary>
public sealed record Recipe
{
    /// <summary>How recipes are written: snake case, readable in any language.</summary>
    public static JsonSerializerOptions Json { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip,
    };

    /// <summary>What was to be shown.</summary>
    public required string Prompt { get; init; }

    /// <summary>What was not to be shown; null where guidance was off.</summary>
    public string? NegativePrompt { get; init; }

    /// <summary>Seed of the noise.</summary>
    public required long Seed { get; init; }

    /// <summary>Attention expression.</summary>
    public required string Attention { get; init; }

    /// <summary>The thresholds of the file that <see cref="Attention"/> names, so that the recipe stands alone; null where it names none.</summary>
    public HeadThresholds? HeadThresholds { get; init; }

    /// <summary>The mean density that was held; null where the threshold was left alone.</summary>
    public double? TargetDensity { get; init; }

    /// <summary>The threshold of each step that held it; null where there was no target, or before sampling. [steps]</summary>
    public IReadOnlyList<double>? Thresholds { get; init; }

    /// <summary>First steps kept dense.</summary>
    public required int DenseSteps { get; init; }

    /// <summary>First layers kept dense.</summary>
    public required int DenseLayers { get; init; }

    /// <summary>Solver steps.</summary>
    public required int Steps { get; init; }

    /// <summary>Solver.</summary>
    public required string Solver { get; init; }

    /// <summary>The schedule's shift.</summary>
    public required double Shift { get; init; }

    /// <summary>Scale of classifier-free guidance.</summary>
    public required double Guidance { get; init; }

    /// <summary>Width in pixels.</summary>
    public required int Width { get; init; }

    /// <summary>Height in pixels.</summary>
    public required int Height { get; init; }

    /// <summary>Frames.</summary>
    public required int Frames { get; init; }

    /// <summary>Frames a second.</summary>
    public required int Fps { get; init; }

    /// <summary>The model's name.</summary>
    public required string Model { get; init; }

    /// <summary>The hash of the model's weights.</summary>
    public required string ModelHash { get; init; }

    /// <summary>Where it ran.</summary>
    public required string Device { get; init; }

    /// <summary>The type of the large matrix products.</summary>
    public required string Dtype { get; init; }

    /// <summary>NablaGen's version.</summary>
    public required string Version { get; init; }

    /// <summary>The recipe of a request.</summary>
    public static Recipe Of(GenerationRequest request, string model, string modelHash, string device, string dtype) => new()
    {
        Prompt = request.Prompt,
        NegativePrompt = request.IsGuided ? request.NegativePrompt : null,
        Seed = request.Seed,
        Attention = request.Attention.ToString(),
        HeadThresholds = request.Attention.HeadThresholds,
        TargetDensity = request.TargetDensity,
        Thresholds = request.Thresholds,
        DenseSteps = request.DenseSteps,
        DenseLayers = request.DenseLayers,
        Steps = request.Steps,
        Solver = request.Solver,
        Shift = request.Shift,
        Guidance = request.Guidance,
        Width = request.Width,
        Height = request.Height,
        Frames = request.Frames,
        Fps = request.Fps,
        Model = model,
        ModelHash = modelHash,
        Device = device,
        Dtype = dtype,
        Version = NablaGenVersion.Text,
    };

    /// <summary>What was asked for, without what sampling found: equal for equal requests, before and after.</summary>
    [JsonIgnore]
    public Recipe Asked => this with { Thresholds = null };

    /// <summary>The recipe as one line of JSON.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, Json);

    /// <summary>Reads a recipe back.</summary>
    /// <param name="json">What <see cref="ToJson"/> wrote.</param>
    /// <param name="where">The file it came from, for the error.</param>
    /// <exception cref="NablaGenException">It is not a recipe.</exception>
    public static Recipe Parse(string json, string where)
    {
        try
        {
            return JsonSerializer.Deserialize<Recipe>(json, Json) ?? throw new JsonException("it is null");
        }
        catch (JsonException error)
        {
            throw new NablaGenException($"{where}: its recipe cannot be read: {error.Message.ReplaceLineEndings(" ")}", error);
        }
    }
}
