using System.Globalization;
using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Image;

/// <summary>
/// Hugging Face's names and shapes of a CLIP vision tower (<c>clip_vision_h.safetensors</c>) as the authors' own: queries, keys and values are
/// three matrices there and one here.
/// </summary>
internal sealed class ClipVisionSource : ITensorSource
{
    /// <summary>What every key of the layout begins with.</summary>
    public const string Prefix = "vision_model.";

    private const string LayerPrefix = Prefix + "encoder.layers.";

    // Within a layer: the authors' name, and the names here of what it consists of.
    private static readonly (string Name, string[] Parts)[] LayerParts =
    [
        ("norm1", ["layer_norm1"]),
        ("attn.to_qkv", ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
        ("attn.proj", ["self_attn.out_proj"]),
        ("norm2", ["layer_norm2"]),
        ("mlp.0", ["mlp.fc1"]),
        ("mlp.2", ["mlp.fc2"]),
    ];

    private readonly ITensorSource _source;
    private readonly Dictionary<string, string[]> _parts = new(StringComparer.Ordinal);
    private readonly Dictionary<string, TensorEntry> _entries = new(StringComparer.Ordinal);

    /// <summary>A view of a file.</summary>
    /// <param name="source">The file, this one's own from now on.</param>
    public ClipVisionSource(ITensorSource source)
    {
        _source = source;
        Add("cls_embedding", shape => [1, 1, .. shape], "embeddings.class_embedding");
        Add("pos_embedding", shape => [1, .. shape], "embeddings.position_embedding.weight");
        Add("patch_embedding.weight", shape => shape, "embeddings.patch_embedding.weight");
        foreach (var kind in new[] { "weight", "bias" })
        {
            // The layout's own spelling.
            Add("pre_norm." + kind, shape => shape, "pre_layrnorm." + kind);
            Add("post_norm." + kind, shape => shape, "post_layernorm." + kind);
            for (var layer = 0; source.Entries.ContainsKey(Layer(layer) + "layer_norm1." + kind); layer++)
            {
                foreach (var (name, parts) in LayerParts)
                {
                    Add(
                        string.Create(CultureInfo.InvariantCulture, $"transformer.{layer}.{name}.{kind}"), shape => [shape[0] * parts.Length, .. shape[1..]],
                        [.. parts.Select(part => string.Create(CultureInfo.InvariantCulture, $"encoder.layers.{layer}.{part}.{kind}"))]);
                }
            }
        }
    }

    /// <summary>
    /// The layout's names of a tower's tensors, the other way round: name, the authors' name, which part of its rows, of how many, and the shape. What
    /// the layout does not have, the head, is left out.
    /// </summary>
    /// <param name="tower">The tower, under the authors' names.</param>
    public static IEnumerable<(string Name, string Key, int Part, int Parts, long[] Shape)> NamesOf(ITensorSource tower)
    {
        foreach (var (key, entry) in tower.Entries)
        {
            var shape = entry.Shape;
            var parts = key.Split('.');
            switch (parts)
            {
                case ["cls_embedding"]:
                    yield return (Prefix + "embeddings.class_embedding", key, 0, 1, shape[2..]);
                    break;
                case ["pos_embedding"]:
                    yield return (Prefix + "embeddings.position_embedding.weight", key, 0, 1, shape[1..]);
                    break;
                case ["patch_embedding", ..]:
                    yield return (Prefix + "embeddings." + key, key, 0, 1, shape);
                    break;
                case ["pre_norm", var kind]:
                    yield return (Prefix + "pre_layrnorm." + kind, key, 0, 1, shape);
                    break;
                case ["post_norm", var kind]:
                    yield return (Prefix + "post_layernorm." + kind, key, 0, 1, shape);
                    break;
                case ["transformer", var layer, .. var name, var kind] when LayerParts.FirstOrDefault(row => row.Name == string.Join('.', name)).Parts is { } names:
                    for (var i = 0; i < names.Length; i++)
                    {
                        yield return ($"{LayerPrefix}{layer}.{names[i]}.{kind}", key, i, names.Length, [shape[0] / names.Length, .. shape[1..]]);
                    }

                    break;
            }
        }
    }

    /// <inheritdoc/>
    public string Path => _source.Path;

    /// <inheritdoc/>
    public IReadOnlyList<string> Files => _source.Files;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorEntry> Entries => _entries;

    /// <inheritdoc/>
    public string FileOf(string name) => _parts.TryGetValue(name, out var parts) ? _source.FileOf(parts[0]) : Path;

    /// <inheritdoc/>
    public Tensor Read(string name)
    {
        var entry = TensorReader.Find(this, name);
        var read = empty(entry.Shape, entry.Type.ToScalarType());
        CopyTo(name, read);
        return read;
    }

    /// <inheritdoc/>
    public void CopyTo(string name, Tensor target)
    {
        using var scope = NewDisposeScope();
        var keys = _parts[TensorReader.Find(this, name).Name];
        var rows = target.shape[0] / keys.Length;
        for (var i = 0; i < keys.Length; i++)
        {
            var part = keys.Length == 1 ? target : target.narrow(0, i * rows, rows);
            _source.CopyTo(keys[i], part.view(_source.Entries[keys[i]].Shape));
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _source.Dispose();

    private static string Layer(int layer) => string.Create(CultureInfo.InvariantCulture, $"{LayerPrefix}{layer}.");

    private void Add(string name, Func<long[], long[]> shape, params string[] parts)
    {
        string[] keys = [.. parts.Select(part => Prefix + part)];
        if (keys.All(_source.Entries.ContainsKey))
        {
            var first = _source.Entries[keys[0]];
            _parts.Add(name, keys);
            _entries.Add(name, first with { Name = name, Shape = shape(first.Shape), ByteCount = keys.Sum(key => _source.Entries[key].ByteCount) });
        }
    }
}
