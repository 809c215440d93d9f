using System.Text.Json;

namespace NablaGen.Generation.Fields;

/// <summary>What values a field has, and how they are read and written. <see cref="FieldKinds"/> makes them.</summary>
/// <typeparam name="T">The values' type, nullable: null says nothing.</typeparam>
public abstract class FieldKind<T>
{
    private protected FieldKind()
    {
    }

    // Text of a command line or a row. Throws the source's error.
    internal abstract T Parse(RequestField field, string text, FieldSource source);

    // A JSON value, which is not null. Throws the source's error.
    internal abstract T Read(RequestField field, JsonElement json, FieldSource source);

    // What a value must be, for an error that has a JSON value to complain about.
    internal abstract string Expected { get; }

    internal abstract void Write(Utf8JsonWriter writer, T value);

    internal abstract string Format(T value);

    // A value given after another, where the field may be given more than once.
    internal virtual T Joined(T first, T second) => second;

    // Sees that a value from anywhere, such as a program, is one that the field may have.
    internal virtual void Check(RequestField field, T value)
    {
    }
}
