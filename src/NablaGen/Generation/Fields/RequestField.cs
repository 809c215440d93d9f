using System.Text.Json;

namespace NablaGen.Generation.Fields;

/// <summary>
/// One option of a request: its names, its values, its help and the places where it may be written. From a table of these come the
/// command line's options, a batch's rows, recipes, a model's defaults, presets and the table in docs/options.md.
/// </summary>
public abstract class RequestField
{
    private protected RequestField(string name)
    {
        Name = name;
        Label = name.Replace('-', ' ');
    }

    /// <summary>The name as an option and a row spell it, without the dashes in front: <c>dense-steps</c>.</summary>
    public string Name { get; }

    /// <summary>The name on the command line: <c>--dense-steps</c>.</summary>
    public string Option => "--" + Name;

    /// <summary>The name in JSON: <c>dense_steps</c>.</summary>
    public string Key => Name.Replace('-', '_');

    /// <summary>The name in a sentence: "dense steps must be …".</summary>
    public string Label { get; init; }

    /// <summary>Short names on the command line.</summary>
    public IReadOnlyList<string> Aliases { get; init; } = [];

    /// <summary>What stands for a value in the help: <c>N</c>.</summary>
    public required string HelpName { get; init; }

    /// <summary>What it is, as a sentence without an end.</summary>
    public required string Help { get; init; }

    /// <summary>What docs/options.md says beyond the help.</summary>
    public string? Details { get; init; }

    /// <summary>What counts where nothing is said, in words; null for the model's default or <see cref="Default"/> itself.</summary>
    public string? DefaultText { get; init; }

    /// <summary>What it is about.</summary>
    public FieldGroup Group { get; init; }

    /// <summary>Values that a shell suggests.</summary>
    public IReadOnlyCollection<string> Suggestions { get; init; } = [];

    /// <summary>Where it may be written.</summary>
    public FieldPlaces Places { get; init; } = FieldPlaces.All;

    /// <summary>
    /// Whether every recipe has it. One that came later is not in older recipes: it is written only where it differs from
    /// <see cref="Default"/>, so that recipes of equal videos stay equal.
    /// </summary>
    public bool IsInEveryRecipe { get; init; }

    /// <summary>Its place among a recipe's keys; later ones come last, by their names.</summary>
    public int RecipeOrder { get; init; } = int.MaxValue;

    /// <summary>Whether another value makes other latents.</summary>
    public bool ChangesLatents { get; init; } = true;

    /// <summary>Whether reading a value may open a file: a model's default is then read only when it is used.</summary>
    public bool OpensFile { get; init; }

    /// <summary>Whether it may be given more than once on a command line, each value after the other.</summary>
    public bool IsRepeatable { get; init; }

    /// <summary>The value where nobody says one, not even the model; null for none.</summary>
    public abstract object? Default { get; }

    /// <summary>Whether it may be written in a place.</summary>
    public bool IsIn(FieldPlaces place) => (Places & place) != 0;

    /// <inheritdoc/>
    public override string ToString() => Name;

    internal abstract object Parse(string text, FieldSource source);

    internal abstract object Read(JsonElement json, FieldSource source);

    internal abstract string Format(object value);

    internal abstract void Check(object value);

    internal abstract object Joined(object first, object second);

    internal abstract void WriteRecipe(Utf8JsonWriter writer, object value);

    internal abstract object ReadRecipe(JsonElement recipe, FieldSource source);
}
