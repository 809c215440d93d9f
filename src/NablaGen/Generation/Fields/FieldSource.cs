using System.Text.Json;
using NablaGen.Files;

namespace NablaGen.Generation.Fields;

/// <summary>Where the value of a field comes from: decides how an error names the field, and whether it is the user's wrong usage or a bad file.</summary>
public sealed class FieldSource
{
    // A reader repeats what it could not read.
    private const int LongestReason = 600;

    private readonly string _where;
    private readonly string _object;

    private FieldSource(FieldPlaces place, string where, string name = "", string? folder = null)
    {
        Place = place;
        Folder = folder;
        _where = where.Length == 0 ? "" : $"{where}: ";
        _object = name.Length == 0 ? "" : $"{name}.";
    }

    /// <summary>The command line.</summary>
    public static FieldSource CommandLine { get; } = new(FieldPlaces.CommandLine, "");

    /// <summary>One of the places.</summary>
    public FieldPlaces Place { get; }

    /// <summary>The folder that a relative path in a value is meant from; null for the current one.</summary>
    public string? Folder { get; }

    /// <summary>A row of a batch.</summary>
    /// <param name="where">The file and line: <c>prompts.csv:3</c>.</param>
    public static FieldSource Row(string where) => new(FieldPlaces.Row, where);

    /// <summary>The recipe in a file.</summary>
    /// <param name="path">The file.</param>
    public static FieldSource Recipe(string path) => new(FieldPlaces.Recipe, path);

    /// <summary>A model's defaults.</summary>
    /// <param name="path">The model's <c>nablagen.json</c>; null where the values are in no file.</param>
    public static FieldSource Defaults(string? path) =>
        new(FieldPlaces.Defaults, path ?? "", "defaults", path is null ? null : Path.GetDirectoryName(path));

    /// <summary>A preset in a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="name">The preset's name.</param>
    public static FieldSource Preset(string path, string name) => new(FieldPlaces.Preset, path, name, Path.GetDirectoryName(path));

    /// <summary>A text is no value of the field's kind at all.</summary>
    internal NablaGenException Malformed(RequestField field, string noun, string text) =>
        Error($"{(Place == FieldPlaces.CommandLine ? field.Option : field.Name)}: '{Shortened(text)}' is not {noun}");

    /// <summary>A text is a value of the field's kind, but not one that the field may have.</summary>
    internal NablaGenException OutOfRange(RequestField field, string range, string text) => Error($"{field.Label} must be {range}, found {Shortened(text)}");

    /// <summary>A JSON value is not what the field takes.</summary>
    internal NablaGenException Unexpected(RequestField field, string expected, JsonElement found) => Unexpected(field.Key, expected, found);

    /// <inheritdoc cref="Unexpected(RequestField, string, JsonElement)"/>
    internal NablaGenException Unexpected(string key, string expected, JsonElement found)
    {
        var text = found.ValueKind is JsonValueKind.Number or JsonValueKind.String ? found.GetRawText() : JsonKinds.Name(found.ValueKind);
        return Fault(key, $"expected {expected}, found {Shortened(text)}");
    }

    /// <summary>What should be a recipe is no object.</summary>
    internal NablaGenException NotAnObject(JsonElement found) => Error($"expected a recipe, found {JsonKinds.Name(found.ValueKind)}");

    /// <summary>A key that must be there is not.</summary>
    internal NablaGenException Missing(string key) => Error($"{Key(key)} is missing");

    /// <summary>A key that is there must not be.</summary>
    internal NablaGenException Unknown(string key, IEnumerable<RequestField> known) =>
        Error($"unknown key {Line.Key(_object + key)}: expected one of {string.Join(", ", known.Select(field => field.Key).Order(StringComparer.Ordinal))}");

    /// <summary>What a value's own reader has to say, with where the value stands.</summary>
    internal NablaGenException Wrapped(RequestField field, NablaGenException error) => Place switch
    {
        FieldPlaces.CommandLine => error,
        FieldPlaces.Row => Error(Line.Of(error.Message, LongestReason)),
        _ => Fault(field.Key, Line.Of(error.Message, LongestReason)),
    };

    /// <summary>Something is wrong with the value of a key.</summary>
    internal NablaGenException Fault(string key, string what) => Error($"{Key(key)}: {what}");

    private string Key(string key) => (Place == FieldPlaces.Recipe ? "the recipe's " : "") + Line.Key(_object + key);

    private static string Shortened(string text) => Line.Of(text.Length <= 120 ? text : text[..120] + "…");

    // What a user has typed is wrong usage; what stands in a file is a bad file.
    private NablaGenException Error(string message) => Place is FieldPlaces.CommandLine or FieldPlaces.Row
        ? new InvalidRequestException(_where + message)
        : new NablaGenException(_where + message);
}
