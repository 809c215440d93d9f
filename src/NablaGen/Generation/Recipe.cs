using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using NablaGen.Attention;
using NablaGen.Files;
using NablaGen.Generation.Fields;
using NablaGen.Models;

namespace NablaGen.Generation;

/// <summary>Everything that makes a video what it is: goes into the MP4, the latents and the <c>.json</c> beside them.</summary>
[JsonConverter(typeof(RecipeConverter))]
public sealed record Recipe
{
    /// <summary>How recipes are written: snake case, readable in any language.</summary>
    public static JsonSerializerOptions Json { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip,
        RespectNullableAnnotations = true,
    };

    private FieldValues _values = FieldValues.Empty;

    /// <summary>What was asked for and, of the thresholds, what sampling found, by field. The properties below are the same values by name.</summary>
    public required FieldValues Values { get => _values; init => _values = value; }

    /// <summary>What was to be shown.</summary>
    public string Prompt { get => Get(RequestFields.Prompt)!; init => Set(RequestFields.Prompt, value); }

    /// <summary>What was not to be shown; null where guidance was off.</summary>
    public string? NegativePrompt { get => Get(RequestFields.NegativePrompt); init => Set(RequestFields.NegativePrompt, value); }

    /// <summary>Seed of the noise.</summary>
    public long Seed { get => Get(RequestFields.Seed)!.Value; init => Set(RequestFields.Seed, value); }

    /// <summary>Attention expression.</summary>
    public string Attention => Get(RequestFields.Attention)!.ToString();

    /// <summary>The thresholds of the file that <see cref="Attention"/> names, so that the recipe stands alone; null where it names none.</summary>
    public HeadThresholds? HeadThresholds => Get(RequestFields.Attention)!.HeadThresholds;

    /// <summary>The mean density that was held; null where the threshold was left alone.</summary>
    public double? TargetDensity { get => Get(RequestFields.TargetDensity); init => Set(RequestFields.TargetDensity, value); }

    /// <summary>The threshold of each step that held it; null where there was no target, or before sampling. [steps]</summary>
    public IReadOnlyList<double>? Thresholds { get => Get(RequestFields.Thresholds); init => Set(RequestFields.Thresholds, value); }

    /// <summary>First steps kept dense.</summary>
    public int DenseSteps { get => Get(RequestFields.DenseSteps) ?? 0; init => Set(RequestFields.DenseSteps, value); }

    /// <summary>First layers kept dense.</summary>
    public int DenseLayers { get => Get(RequestFields.DenseLayers) ?? 0; init => Set(RequestFields.DenseLayers, value); }

    /// <summary>Solver steps.</summary>
    public int Steps { get => Get(RequestFields.Steps)!.Value; init => Set(RequestFields.Steps, value); }

    /// <summary>Solver.</summary>
    public string Solver { get => Get(RequestFields.Solver)!; init => Set(RequestFields.Solver, value); }

    /// <summary>The schedule's shift.</summary>
    public double Shift { get => Get(RequestFields.Shift)!.Value; init => Set(RequestFields.Shift, value); }

    /// <summary>Scale of classifier-free guidance.</summary>
    public double Guidance { get => Get(RequestFields.Guidance)!.Value; init => Set(RequestFields.Guidance, value); }

    /// <summary>Width in pixels.</summary>
    public int Width { get => Get(RequestFields.Width)!.Value; init => Set(RequestFields.Width, value); }

    /// <summary>Height in pixels.</summary>
    public int Height { get => Get(RequestFields.Height)!.Value; init => Set(RequestFields.Height, value); }

    /// <summary>Frames.</summary>
    public int Frames { get => Get(RequestFields.Frames)!.Value; init => Set(RequestFields.Frames, value); }

    /// <summary>Frames a second.</summary>
    public int Fps { get => Get(RequestFields.Fps)!.Value; init => Set(RequestFields.Fps, value); }

    /// <summary>The model's name.</summary>
    public required string Model { get; init; }

    /// <summary>The hash of the model's weights.</summary>
    public required string ModelHash { get; init; }

    /// <summary>Where it ran.</summary>
    public required string Device { get; init; }

    /// <summary>The type of the large matrix products.</summary>
    public required string Dtype { get; init; }

    /// <summary>The number format of the products with the layers' matrices (<c>fp8</c>, <c>fp8-inner</c>), where it is not <see cref="Dtype"/>; else null.</summary>
    public string? Precision { get; init; }

    /// <summary>The number format of self-attention (<c>eight</c>), where it is not <see cref="Dtype"/>; else null.</summary>
    public string? AttentionPrecision { get; init; }

    /// <summary>NablaGen's version.</summary>
    public required string Version { get; init; }

    /// <summary>The recipe of a request.</summary>
    public static Recipe Of(GenerationRequest request, string model, string modelHash, string device, string dtype, TransformerFormats? formats = null) => new()
    {
        Values = FieldRules.ForRecipe(request.Values),
        Model = model,
        ModelHash = modelHash,
        Device = device,
        Dtype = dtype,
        Precision = PrecisionChoice.Name(formats),
        AttentionPrecision = formats?.EightBitAttention == true ? PrecisionChoice.Eight : null,
        Version = NablaGenVersion.Text,
    };

    /// <summary>What was asked for, without what sampling found: equal for equal requests, before and after.</summary>
    public Recipe Asked => this with
    {
        // Taken out first: the values keep what is equal, and lists of LoRAs are equal wherever the files lie.
        Values = Values.With(RequestFields.Thresholds, null).With(RequestFields.Lora, null).With(RequestFields.Lora, Get(RequestFields.Lora)?.WithoutFolders()),
    };

    /// <summary>The recipe as one line of JSON.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, Json);

    /// <summary>Reads a recipe back.</summary>
    /// <param name="json">What <see cref="ToJson"/> wrote.</param>
    /// <param name="where">The file it came from, for the error.</param>
    /// <param name="table">The fields; null for NablaGen's.</param>
    /// <exception cref="NablaGenException">It is not a recipe; the line says which key is missing or wrong.</exception>
    public static Recipe Parse(string json, string where, RequestFieldTable? table = null)
    {
        using var document = JsonFile.Parse(Encoding.UTF8.GetBytes(json), where, "its recipe ");
        return RecipeConverter.Read(document.RootElement, where, table ?? RequestFields.Table);
    }

    /// <summary>The value of a field; null where it has none.</summary>
    public T? Get<T>(TypedField<T> field) => _values.Get(field);

    /// <summary>The recipe in words, on one line.</summary>
    public override string ToString() => Line.Of($"{Values}, model {Model} ({ModelHash}), {Dtype}{(Precision is null ? "" : $", products in {Precision}")}{(AttentionPrecision is null ? "" : ", attention in eight bits")} on {Device}, NablaGen {Version}");

    private void Set<T>(TypedField<T> field, T? value) => _values = _values.With(field, value);
}
