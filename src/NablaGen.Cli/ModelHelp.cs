using System.CommandLine;
using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Models;

namespace NablaGen.Cli;

/// <summary>Puts the defaults of the model at hand into a command's help.</summary>
internal static class ModelHelp
{
    /// <summary>Rewrites the help of a command's options by the model that the line names, or would use.</summary>
    /// <returns>What to say of it; null where the command has no model, or none is there to be read.</returns>
    public static string? Apply(ParseResult parsed)
    {
        var options = parsed.CommandResult.Command.Options;
        var fields = RequestFields.Table.In(FieldPlaces.CommandLine)
            .Select(field => (Field: field, Option: options.FirstOrDefault(option => option.Name == field.Option)))
            // A command's own words stay: they say what is different there.
            .Where(pair => pair.Option?.Description == FieldHelp.Describe(pair.Field)).ToList();
        if (fields.Count == 0 || options.OfType<Option<string?>>().FirstOrDefault(option => option.Name == "--model") is not { } named)
        {
            return null;
        }

        try
        {
            if (ModelLocator.Find(parsed.GetValue(named)) is not { } path)
            {
                return null;
            }

            var model = VideoModel.Open(path);
            var defaults = GenerationDefaults.Of(model);
            foreach (var (field, option) in fields)
            {
                option!.Description = FieldHelp.Describe(field, defaults, model.TrainedFor);
            }

            return $"The defaults below are those of the model {model.Name}.";
        }
        catch (Exception error) when (error is NablaGenException or IOException or UnauthorizedAccessException)
        {
            // Help is there for whoever has no model yet, too.
            return null;
        }
    }
}
