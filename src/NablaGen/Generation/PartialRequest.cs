using NablaGen.Attention;
using NablaGen.Generation.Fields;

namespace NablaGen.Generation;

/// <summary>What a user says of a request: each null is left to something else, in the end to the model's defaults.</summary>
public sealed record PartialRequest
{
    private FieldValues _values = FieldValues.Empty;

    /// <summary>What is said, by field. The properties below are the same values by name.</summary>
    public FieldValues Values { get => _values; init => _values = value; }

    /// <summary>What to show.</summary>
    public string? Prompt { get => Get(RequestFields.Prompt); init => Set(RequestFields.Prompt, value); }

    /// <summary>What not to show.</summary>
    public string? NegativePrompt { get => Get(RequestFields.NegativePrompt); init => Set(RequestFields.NegativePrompt, value); }

    /// <summary>The self-attention.</summary>
    public AttentionExpression? Attention { get => Get(RequestFields.Attention); init => Set(RequestFields.Attention, value); }

    /// <summary>The mean density to hold.</summary>
    public double? TargetDensity { get => Get(RequestFields.TargetDensity); init => Set(RequestFields.TargetDensity, value); }

    /// <summary>The thresholds that held it; only a recipe says them.</summary>
    public IReadOnlyList<double>? Thresholds { get => Get(RequestFields.Thresholds); init => Set(RequestFields.Thresholds, value); }

    /// <summary>First steps to keep dense.</summary>
    public int? DenseSteps { get => Get(RequestFields.DenseSteps); init => Set(RequestFields.DenseSteps, value); }

    /// <summary>First layers to keep dense.</summary>
    public int? DenseLayers { get => Get(RequestFields.DenseLayers); init => Set(RequestFields.DenseLayers, value); }

    /// <summary>Width of the video in pixels.</summary>
    public int? Width { get => Get(RequestFields.Width); init => Set(RequestFields.Width, value); }

    /// <summary>Height of the video in pixels.</summary>
    public int? Height { get => Get(RequestFields.Height); init => Set(RequestFields.Height, value); }

    /// <summary>Frames, 4n + 1.</summary>
    public int? Frames { get => Get(RequestFields.Frames); init => Set(RequestFields.Frames, value); }

    /// <summary>Frames a second.</summary>
    public int? Fps { get => Get(RequestFields.Fps); init => Set(RequestFields.Fps, value); }

    /// <summary>Solver steps.</summary>
    public int? Steps { get => Get(RequestFields.Steps); init => Set(RequestFields.Steps, value); }

    /// <summary>The solver's name.</summary>
    public string? Solver { get => Get(RequestFields.Solver); init => Set(RequestFields.Solver, value); }

    /// <summary>The schedule's shift.</summary>
    public double? Shift { get => Get(RequestFields.Shift); init => Set(RequestFields.Shift, value); }

    /// <summary>Scale of classifier-free guidance.</summary>
    public double? Guidance { get => Get(RequestFields.Guidance); init => Set(RequestFields.Guidance, value); }

    /// <summary>Seed of the noise.</summary>
    public long? Seed { get => Get(RequestFields.Seed); init => Set(RequestFields.Seed, value); }

    /// <summary>What a recipe says: completed with its model's defaults it makes the same video.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="table">The fields; null for NablaGen's.</param>
    public static PartialRequest Of(Recipe recipe, RequestFieldTable? table = null) =>
        new() { Values = FieldRules.FromRecipe(recipe.Values, table ?? RequestFields.Table) };

    /// <summary>The value of a field; null where nothing is said.</summary>
    public T? Get<T>(TypedField<T> field) => Values.Get(field);

    /// <summary>The same with another value of a field; null says nothing.</summary>
    public PartialRequest With<T>(TypedField<T> field, T? value) => this with { Values = Values.With(field, value) };

    /// <summary>
    /// This, and where it says nothing, another: a row of a list over the command line, flags over a recipe. What the other says and
    /// would have no effect here is left out, such as its dense steps where this asks for dense attention.
    /// </summary>
    /// <param name="other">What counts where this is null.</param>
    /// <param name="defaults">The model's, which tell what has an effect.</param>
    public PartialRequest Over(PartialRequest other, GenerationDefaults defaults) =>
        new() { Values = FieldRules.Over(Values, other.Values, defaults) };

    /// <summary>The whole request; without a seed it gets a random one.</summary>
    /// <param name="defaults">The model's.</param>
    /// <exception cref="InvalidRequestException">There is no prompt, a value is out of range, or something said has no effect.</exception>
    public GenerationRequest ToRequest(GenerationDefaults defaults) => FieldRules.Complete(Values, defaults);

    /// <summary>What is said, on one line.</summary>
    public override string ToString() => $"{Values}";

    private void Set<T>(TypedField<T> field, T? value) => _values = _values.With(field, value);
}
