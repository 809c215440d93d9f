using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using NablaGen.Files;
using NablaGen.Generation;

namespace NablaGen.Jobs.Compare;

/// <summary>What a comparison found: <c>compare.json</c>.</summary>
public sealed record ComparisonReport
{
    /// <summary>The file's name.</summary>
    public const string FileName = "compare.json";

    // An equal video's PSNR is infinite, which JSON can only say in quotes.
    internal static readonly JsonSerializerOptions Json = new(Recipe.Json)
    {
        WriteIndented = true,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    /// <summary>What all expressions share, with the first one's attention.</summary>
    public required Recipe Recipe { get; init; }

    /// <summary>File name of the video that shows all beside one another.</summary>
    public required string SideBySide { get; init; }

    /// <summary>File name of the contact sheet.</summary>
    public required string ContactSheet { get; init; }

    /// <summary>What the contact sheet's differences are multiplied with.</summary>
    public required int DifferenceGain { get; init; }

    /// <summary>The expressions; the first is what the others are compared with.</summary>
    public required IReadOnlyList<ComparedExpression> Expressions { get; init; }

    /// <summary>Writes <see cref="FileName"/> into a folder, aside first.</summary>
    public void Save(string folder) => OutputFile.Write(
        Path.Combine(folder, FileName), file => file.Write(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(this, Json) + "\n")));
}
