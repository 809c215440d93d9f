using System.CommandLine;
using NablaGen.Generation.Fields;
using NablaGen.Models;

namespace NablaGen.Cli.Commands;

/// <summary>The options that name files in place of a model's own, for a command that makes no new videos.</summary>
internal sealed class PieceOptions
{
    private readonly Dictionary<RequestField, Option<string?>> _options = PieceFields.All.ToDictionary(field => (RequestField)field, field => (Option<string?>)GenerationOptions.Option(field));

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (var field in PieceFields.All)
        {
            command.Add(_options[field]);
        }
    }

    /// <summary>What they say.</summary>
    public ModelPieces Read(ParseResult parsed) => Read(parsed, field => _options[field]);

    /// <summary>What the fields' options say.</summary>
    public static ModelPieces Read(ParseResult parsed, Func<RequestField, Option<string?>> option) =>
        new(parsed.GetValue(option(RequestFields.TextEncoder)), parsed.GetValue(option(RequestFields.Vae)), parsed.GetValue(option(RequestFields.Tokenizer)),
            parsed.GetValue(option(RequestFields.ImageEncoder)));
}
