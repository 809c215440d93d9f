using System.Text.Json;
using NablaGen.Attention;

namespace NablaGen.Generation.Fields;

/// <summary>A field and the type of its values.</summary>
/// <typeparam name="T">The values' type, nullable.</typeparam>
/// <param name="name">See <see cref="RequestField.Name"/>.</param>
/// <param name="kind">How its values are read and written.</param>
public sealed class TypedField<T>(string name, FieldKind<T> kind) : RequestField(name)
{
    /// <summary>See <see cref="RequestField.Default"/>.</summary>
    public T? DefaultValue { get; init; }

    /// <inheritdoc/>
    public override object? Default => DefaultValue;

    internal override object Parse(string text, FieldSource source) => kind.Parse(this, text, source)!;

    internal override object Read(JsonElement json, FieldSource source) => kind.Read(this, json, source)!;

    internal override string Format(object value) => kind.Format((T)value);

    internal override void Check(object value) => kind.Check(this, (T)value);

    internal override object Joined(object first, object second) => kind.Joined((T)first, (T)second)!;

    internal override void WriteRecipe(Utf8JsonWriter writer, object value)
    {
        writer.WritePropertyName(Key);
        kind.Write(writer, (T)value);
        if (value is AttentionExpression { HeadThresholds: { } thresholds })
        {
            writer.WritePropertyName(AttentionKind.HeadThresholds);
            JsonSerializer.Serialize(writer, thresholds);
        }
    }

    internal override object ReadRecipe(JsonElement recipe, FieldSource source) => kind is AttentionKind attention
        ? attention.ReadRecipe(this, recipe, source)
        : Read(recipe.GetProperty(Key), source);
}
