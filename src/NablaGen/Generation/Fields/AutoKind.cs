using System.Globalization;
using System.Numerics;
using System.Text.Json;

namespace NablaGen.Generation.Fields;

/// <summary>Numbers, or <c>auto</c> for what is best for the model: a value of its own, so that it can be said over another.</summary>
internal sealed class AutoKind(FieldKind<int?> number) : FieldKind<int?>
{
    /// <summary>The value that <c>auto</c> is held as; no request and no recipe has it.</summary>
    internal const int Auto = -1;

    private const string Name = "auto";

    internal override string Expected => $"{number.Expected}, or \"{Name}\"";

    internal override int? Parse(RequestField field, string text, FieldSource source) =>
        text == Name ? Auto
        : BigInteger.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out _) ? number.Parse(field, text, source)
        : throw source.Malformed(field, $"a whole number or {Name}", text);

    internal override int? Read(RequestField field, JsonElement json, FieldSource source) =>
        json.ValueKind == JsonValueKind.String && json.GetString() == Name ? Auto : number.Read(field, json, source);

    internal override void Write(Utf8JsonWriter writer, int? value)
    {
        if (value == Auto)
        {
            writer.WriteStringValue(Name);
        }
        else
        {
            number.Write(writer, value);
        }
    }

    internal override string Format(int? value) => value == Auto ? Name : number.Format(value);

    internal override void Check(RequestField field, int? value)
    {
        if (value != Auto)
        {
            number.Check(field, value);
        }
    }
}
