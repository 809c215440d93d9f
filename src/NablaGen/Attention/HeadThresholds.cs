using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace NablaGen.Attention;

/// <summary>NABLA's threshold for each layer and head. Equal where all numbers are.</summary>
[JsonConverter(typeof(Converter))]
public sealed class HeadThresholds : IEquatable<HeadThresholds>
{
    // What is written has four digits, so what is used has no more.
    private const int Digits = 4;

    private readonly double[][] _values;

    /// <summary>Thresholds, rounded to four digits.</summary>
    /// <param name="values">Each above 0 and at most 1. [layers][heads]</param>
    /// <exception cref="NablaGenException">There are none, the layers differ in heads, or one is out of range; the line says which.</exception>
    public HeadThresholds(IReadOnlyList<IReadOnlyList<double>> values)
    {
        if (values.Count == 0 || values[0].Count == 0)
        {
            throw new NablaGenException("found no thresholds, expected one for each layer and head");
        }

        _values = new double[values.Count][];
        for (var layer = 0; layer < values.Count; layer++)
        {
            if (values[layer].Count != values[0].Count)
            {
                throw new NablaGenException($"layer 0 has thresholds for {values[0].Count} heads, layer {layer} for {values[layer].Count}");
            }

            _values[layer] = [.. values[layer].Select((value, head) => value is > 0 and <= 1
                ? Math.Max(Math.Round(value, Digits), Math.Pow(10, -Digits))
                : throw new NablaGenException(
                    $"the threshold of layer {layer}, head {head} must be above 0 and at most 1, found {value.ToString(CultureInfo.InvariantCulture)}"))];
        }
    }

    /// <summary>Layers.</summary>
    public int Layers => _values.Length;

    /// <summary>Heads a layer.</summary>
    public int Heads => _values[0].Length;

    /// <summary>The first 16 hexadecimal digits of a SHA-256 over the numbers.</summary>
    public string Hash => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(_values))))[..16];

    /// <summary>One head's threshold.</summary>
    public double this[int layer, int head] => _values[layer][head];

    /// <summary>Sees that a model has these layers and heads.</summary>
    /// <param name="expression">What they belong to, for the message.</param>
    /// <param name="layers">The model's layers.</param>
    /// <param name="heads">The model's heads.</param>
    /// <exception cref="InvalidRequestException">It has others.</exception>
    public void Check(AttentionExpression expression, int layers, int heads)
    {
        if (layers != Layers || heads != Heads)
        {
            throw new InvalidRequestException(
                $"attention '{expression}' has thresholds for {Layers} layers of {Heads} heads, and the model has {layers} layers of {heads}");
        }
    }

    /// <inheritdoc/>
    public bool Equals(HeadThresholds? other) =>
        other is not null && Layers == other.Layers && _values.Zip(other._values).All(pair => pair.First.AsSpan().SequenceEqual(pair.Second));

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as HeadThresholds);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Layers, Heads, _values[0][0], _values[^1][^1]);

    /// <inheritdoc/>
    public override string ToString() => $"{Layers} layers of {Heads} heads ({Hash})";

    /// <summary>Those of some heads.</summary>
    /// <param name="heads">Which, in every layer.</param>
    public HeadThresholds Of(IReadOnlyList<int> heads) => new([.. _values.Select(layer => heads.Select(head => layer[head]).ToArray())]);

    /// <summary>The numbers as lists. [layers][heads]</summary>
    public double[][] ToArray() => [.. _values.Select(layer => layer.ToArray())];

    // Where nobody has seen the whole model: an attention on its own.
    internal void CheckLayer(AttentionExpression expression, int layer, int heads)
    {
        if (layer >= Layers || heads != Heads)
        {
            throw new NablaGenException(
                $"attention '{expression}' has thresholds for {Layers} layers of {Heads} heads, and the model has {heads} heads in layer {layer}");
        }
    }

    private sealed class Converter : JsonConverter<HeadThresholds>
    {
        public override HeadThresholds Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
        {
            var values = JsonSerializer.Deserialize<double[][]>(ref reader, options);
            try
            {
                return new HeadThresholds(values is null || values.Contains(null) ? [] : values);
            }
            catch (NablaGenException error)
            {
                throw new JsonException(error.Message, error);
            }
        }

        public override void Write(Utf8JsonWriter writer, HeadThresholds value, JsonSerializerOptions options) =>
            JsonSerializer.Serialize(writer, value._values, options);
    }
}
