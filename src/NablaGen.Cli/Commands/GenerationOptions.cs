using System.CommandLine;
using System.CommandLine.Completions;
using NablaGen.Files;
using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Models;

namespace NablaGen.Cli.Commands;

/// <summary>
/// The options that say what to make, for every command that makes videos: one for each field of the table that the command line has.
/// Each command makes its own and adds those it has.
/// </summary>
internal sealed class GenerationOptions
{
    private const string StandardInput = "-";

    private readonly RequestFieldTable _table;
    private readonly Dictionary<RequestField, Option> _options;

    public GenerationOptions(RequestFieldTable? table = null)
    {
        _table = table ?? RequestFields.Table;
        _options = _table.In(FieldPlaces.CommandLine).ToDictionary(field => field, Option);
    }

    /// <summary>The option that names a set of the user's own values, for the commands that have it.</summary>
    public Option<string?> PresetName { get; } = UserPresets.Option();

    /// <summary>The preset that is named; null for none.</summary>
    /// <exception cref="NablaGenException">There is no such preset, or the file of presets is wrong.</exception>
    public Preset? Preset(ParseResult parsed) => parsed.GetValue(PresetName) is { } name ? UserPresets.Find(name) : null;

    /// <summary>The option of a field that is given once.</summary>
    public Option<string?> this[RequestField field] => (Option<string?>)_options[field];

    /// <summary>Adds the options to a command in the help's order, but for some.</summary>
    public void AddTo(Command command, params RequestField[] except)
    {
        foreach (var field in _options.Keys.Except(except))
        {
            command.Add(_options[field]);
        }
    }

    /// <summary>What the flags say; an option that the command does not have says nothing.</summary>
    /// <exception cref="InvalidRequestException">A flag is wrong whatever the model is.</exception>
    public PartialRequest Read(ParseResult parsed)
    {
        var texts = _options.SelectMany(pair => Texts(parsed, pair.Value).Select(text => KeyValuePair.Create(pair.Key, text)));
        var request = _table.Read(texts, FieldSource.CommandLine);
        return request.Prompt is null || !string.IsNullOrWhiteSpace(request.Prompt)
            ? request
            : throw new InvalidRequestException("the prompt is empty");
    }

    /// <summary>The files that are named in place of the model's own.</summary>
    public ModelPieces Pieces(ParseResult parsed) => PieceOptions.Read(parsed, field => this[field]);

    private static IReadOnlyList<string> Texts(ParseResult parsed, Option option) => option switch
    {
        Option<string[]> many => parsed.GetValue(many) ?? [],
        Option<string?> one when parsed.GetValue(one) is { } text => [text == StandardInput && one.Name == RequestFields.Prompt.Option ? ReadPrompt() : text],
        _ => [],
    };

    // Text from a pipe ends in a line break that is no part of it.
    private static string ReadPrompt()
    {
        using var input = Console.OpenStandardInput();
        using var reader = new StreamReader(new MemoryStream(WholeText.Read(input, "the prompt on standard input", TextKind.MostCharacters)));
        return reader.ReadToEnd().Trim();
    }

    /// <summary>The option of a field.</summary>
    public static Option Option(RequestField field)
    {
        Option option = field.IsRepeatable
            ? new Option<string[]>(field.Option, [.. field.Aliases]) { Arity = ArgumentArity.OneOrMore, AllowMultipleArgumentsPerToken = false }
            : new Option<string?>(field.Option, [.. field.Aliases]);
        (option.Description, option.HelpName) = (FieldHelp.Describe(field), field.HelpName);
        if (field.Suggestions.Count > 0)
        {
            option.CompletionSources.Add(_ => field.Suggestions.Select(value => new CompletionItem(value)));
        }

        return option;
    }
}
