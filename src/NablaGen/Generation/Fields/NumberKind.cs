using System.Globalization;
using System.Numerics;
using System.Text.Json;

namespace NablaGen.Generation.Fields;

/// <summary>Whole or real numbers, with a point and no thousands' marks whatever the culture.</summary>
internal sealed class NumberKind<TNumber>(NumberStyles styles, string noun, NumberRange range) : FieldKind<TNumber?>
    where TNumber : struct, INumber<TNumber>
{
    internal override string Expected => $"{noun} {range}";

    internal override TNumber? Parse(RequestField field, string text, FieldSource source) =>
        TNumber.TryParse(text, styles, CultureInfo.InvariantCulture, out var value)
            ? Contains(value) ? value : throw source.OutOfRange(field, $"{range}", Format(value))
            // A number with more digits than the type has is one all the same.
            : throw (BigInteger.TryParse(text, styles & NumberStyles.Integer, CultureInfo.InvariantCulture, out _)
                ? source.OutOfRange(field, $"{range}", text.Trim())
                : source.Malformed(field, noun, text));

    internal override TNumber? Read(RequestField field, JsonElement json, FieldSource source) =>
        json.ValueKind == JsonValueKind.Number && TNumber.TryParse(json.GetRawText(), styles, CultureInfo.InvariantCulture, out var value) && Contains(value)
            ? value
            : throw source.Unexpected(field, Expected, json);

    internal override void Write(Utf8JsonWriter writer, TNumber? value) => writer.WriteRawValue(JsonSerializer.SerializeToUtf8Bytes(value));

    internal override string Format(TNumber? value) => value?.ToString(null, CultureInfo.InvariantCulture) ?? "";

    internal override void Check(RequestField field, TNumber? value)
    {
        if (value is { } number && !Contains(number))
        {
            throw new InvalidRequestException($"{field.Label} must be {range}, found {Format(number)}");
        }
    }

    private bool Contains(TNumber value) => range.Contains(double.CreateChecked(value));
}
