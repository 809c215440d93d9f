using System.CommandLine;
using NablaGen.Generation;
using NablaGen.Models;
using static TorchSharp.torch;

namespace NablaGen.Cli.Commands;

/// <summary>The options that say in which number formats a transformer computes.</summary>
/// <param name="weights">How its weights are kept, where the command has files; null where it has none.</param>
internal sealed class PrecisionOptions(Option<string>? weights = null)
{
    private readonly Option<string> _products = SharedOptions.Precision();
    private readonly Option<string> _attention = SharedOptions.AttentionPrecision();

    /// <summary>All of them.</summary>
    public IReadOnlyList<Option> All => weights is null ? [_products, _attention] : [_products, _attention, weights];

    public void AddTo(Command command)
    {
        foreach (var option in All)
        {
            command.Add(option);
        }
    }

    /// <summary>Whether an option stands on the command line.</summary>
    public static bool IsGiven(ParseResult parsed, Option option) => parsed.GetResult(option) is { Implicit: false };

    /// <summary>The formats that are asked for, or a recipe's where nothing is said.</summary>
    public TransformerFormats Formats(ParseResult parsed, TransformerTraits transformer, Device device, ScalarType dtype, bool isResident, Recipe? from = null) => PrecisionChoice.Resolve(
        from is not null && !IsGiven(parsed, _products) ? from.Precision ?? PrecisionChoice.Auto : parsed.GetValue(_products)!,
        from is not null && !IsGiven(parsed, _attention) ? from.AttentionPrecision ?? PrecisionChoice.Auto : parsed.GetValue(_attention)!,
        transformer, device, dtype, isResident);

    /// <summary>A model with its transformer in the formats that are asked for.</summary>
    public VideoModel Over(ParseResult parsed, VideoModel model, Device device, ScalarType dtype, Recipe? from = null) =>
        model.WithFormats(Formats(parsed, model.Transformer, device, dtype, weights is not null && PrecisionChoice.IsResident(parsed.GetValue(weights)!), from));
}
