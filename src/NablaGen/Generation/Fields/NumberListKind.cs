using System.Globalization;
using System.Text.Json;

namespace NablaGen.Generation.Fields;

/// <summary>Lists of real numbers; between commas in text.</summary>
internal sealed class NumberListKind(NumberRange range) : FieldKind<IReadOnlyList<double>?>
{
    internal override string Expected => $"a list of numbers, each {range}";

    internal override IReadOnlyList<double> Parse(RequestField field, string text, FieldSource source) =>
        [.. text.Split(',').Select(part => double.TryParse(part, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && range.Contains(value)
            ? value
            : throw source.Malformed(field, Expected, text))];

    internal override IReadOnlyList<double> Read(RequestField field, JsonElement json, FieldSource source) => json.ValueKind == JsonValueKind.Array
        ? [.. json.EnumerateArray().Select(item => item.ValueKind == JsonValueKind.Number && item.TryGetDouble(out var value) && range.Contains(value)
            ? value
            : throw source.Unexpected(field, Expected, item))]
        : throw source.Unexpected(field, Expected, json);

    internal override void Write(Utf8JsonWriter writer, IReadOnlyList<double>? value)
    {
        writer.WriteStartArray();
        foreach (var number in value ?? [])
        {
            writer.WriteNumberValue(number);
        }

        writer.WriteEndArray();
    }

    internal override string Format(IReadOnlyList<double>? value) =>
        $"[{string.Join(", ", (value ?? []).Select(number => number.ToString(CultureInfo.InvariantCulture)))}]";
}
