using NablaGen.Files;
using NablaGen.Tensors.Matrices;
using static TorchSharp.torch;

namespace NablaGen.Weights;

/// <summary>
/// A source whose fp8 or int8 weights have scales beside them, as one of plain weights: each is multiplied by its scale in float32 and then
/// rounded to the wanted type, a few rows at a time. The scales are not among its tensors. Disposing of it disposes of the source.
/// </summary>
/// <remarks>
/// The layouts are ComfyUI's two and LightX2V's. Whatever stands beside a weight and is not understood is an error that names it: weights that are
/// silently wrong would be the worst of results.
/// </remarks>
internal sealed class ScaledSource : ITensorSource
{
    private const long PieceElements = 1 << 20;
    private const long LongestNote = 1 << 16;

    private readonly ITensorSource _source;
    private readonly Dictionary<string, TensorEntry> _entries = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _scales = new(StringComparer.Ordinal);

    private ScaledSource(ITensorSource source) => _source = source;

    /// <inheritdoc/>
    public string Path => _source.Path;

    /// <inheritdoc/>
    public IReadOnlyList<string> Files => _source.Files;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, string> Metadata => _source.Metadata;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorEntry> Entries => _entries;

    /// <summary>The source with its scales applied; the source itself where it has none. On failure the source stays the caller's.</summary>
    /// <exception cref="NablaGenException">Something beside a weight belongs to a number format that can't be read.</exception>
    public static ITensorSource Over(ITensorSource source)
    {
        var described = QuantizationNote.OfFile(source);
        if (described.Count == 0 && source.Entries.Keys.All(key => ScaleKeys.Of(key).Role == ScaleRole.None))
        {
            return source;
        }

        var scaled = new ScaledSource(source);
        scaled.Sort();
        foreach (var (layer, type) in described)
        {
            // The notes' names may lack the keys' prefix.
            var keys = source.Entries.Keys.Where(key => key == layer + ".weight" || key.EndsWith($".{layer}.weight", StringComparison.Ordinal)).ToList();
            if (keys.Count != 1)
            {
                throw new NablaGenException($"{source.Path}: \"_quantization_metadata\" speaks of the layer {Line.Key(layer)}: expected one weight of it, found {keys.Count}.");
            }

            scaled.CheckDescribed(keys[0], type);
        }

        scaled.CheckPlain();
        return scaled;
    }

    /// <inheritdoc/>
    public string FileOf(string name) => _source.FileOf(name);

    /// <inheritdoc/>
    public Tensor Read(string name)
    {
        if (!_scales.ContainsKey(name))
        {
            return _source.Read(TensorReader.Find(this, name).Name);
        }

        var tensor = empty(_entries[name].Shape, dtype: ScalarType.Float32, device: CPU);
        try
        {
            CopyTo(name, tensor);
            return tensor;
        }
        catch
        {
            tensor.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void CopyTo(string name, Tensor target)
    {
        // fp8 and int8 are exact in every type that weights are read to.
        _source.CopyTo(TensorReader.Find(this, name).Name, target);
        if (_scales.TryGetValue(name, out var key) && target.numel() > 0)
        {
            Multiply(target, key);
        }
    }

    /// <inheritdoc/>
    public StoredNumbers? FindStored(string name) => _source.FindStored(TensorReader.Find(this, name).Name) is { } stored
        ? stored with { Scales = _scales.TryGetValue(name, out var key) ? () => _source.Read(key) : null }
        : null;

    /// <inheritdoc/>
    public void Dispose() => _source.Dispose();

    private void Sort()
    {
        foreach (var (key, entry) in _source.Entries)
        {
            var (role, format) = ScaleKeys.Of(key);
            switch (role)
            {
                case ScaleRole.None:
                    _entries.TryAdd(key, entry);
                    break;
                case ScaleRole.Scale:
                    Pair(key, entry);
                    break;
                case ScaleRole.InputScale when entry.Shape.All(side => side == 1):
                    break;
                case ScaleRole.Marker when entry.Shape is [] or [0] or [1] or [2]:
                    break;
                case ScaleRole.Description:
                    CheckDescribed(ScaleKeys.Module(key) + ".weight", Describe(key, entry));
                    break;
                default:
                    throw Bad(key, $"{entry.Type} {Line.Shape(entry.Shape)} belongs to a number format that NablaGen can't read ({format}): {ScaleKeys.Readable}");
            }
        }
    }

    private void Pair(string key, TensorEntry scale)
    {
        var name = ScaleKeys.Module(key) + ".weight";
        if (!_source.Entries.TryGetValue(name, out var weight))
        {
            throw Bad(key, "is the scale of a weight that is not there");
        }

        if (!weight.Type.IsFloat8() && weight.Type != StoredType.I8)
        {
            throw Bad(key, $"is a scale, and the weight beside it is {weight.Type}: expected F8_E4M3, F8_E5M2 or I8");
        }

        if (scale.Type is not (StoredType.F32 or StoredType.BF16 or StoredType.F16))
        {
            throw Bad(key, $"is {scale.Type} {Line.Shape(scale.Shape)}: expected a scale in F32, F16 or BF16 (other types belong to nvfp4 or mxfp8, which NablaGen can't read)");
        }

        var isOne = scale.Shape.All(side => side == 1);
        var isRows = weight.Shape.Length > 0 && scale.Shape.Length > 0 && scale.Shape[0] == weight.Shape[0] && scale.Shape.Skip(1).All(side => side == 1);
        if (!isOne && !isRows)
        {
            throw Bad(key, $"has the shape {Line.Shape(scale.Shape)} beside a weight of {Line.Shape(weight.Shape)}: expected one scale, or one a row");
        }

        if (!_scales.TryAdd(name, key))
        {
            throw Bad(key, $"is a second scale of one weight, beside {Line.Key(_scales[name])}");
        }

        _entries[name] = weight with { Type = StoredType.F32, Format = $"{weight.Format} with a scale a {(isOne ? "tensor" : "row")}" };
    }

    private StoredType Describe(string key, TensorEntry entry)
    {
        if (entry.Type is not (StoredType.U8 or StoredType.I8) || entry.ByteCount > LongestNote)
        {
            throw Bad(key, $"is {entry.Type} {Line.Shape(entry.Shape)}: expected the bytes of a short JSON text");
        }

        using var scope = NewDisposeScope();
        var bytes = _source.Read(key).to_type(ScalarType.Byte).flatten().data<byte>().ToArray();
        using var document = JsonFile.Parse(bytes, _source.FileOf(key), $"{Line.Key(key)} ");
        return QuantizationNote.Parse(document.RootElement, _source.FileOf(key), $"the tensor {Line.Key(key)}");
    }

    private void CheckDescribed(string weight, StoredType expected)
    {
        if (!_source.Entries.TryGetValue(weight, out var entry) || entry.Type != expected)
        {
            throw Bad(weight, $"is said to be {expected}, found {entry?.Type.ToString() ?? "none"}");
        }

        var module = ScaleKeys.Module(weight);
        if (!_source.Entries.ContainsKey(module + ".weight_scale") && !_source.Entries.ContainsKey(module + ".scale_weight"))
        {
            throw Bad(weight, "is said to be quantised and has no scale");
        }
    }

    // A matrix that lost its scale would load as noise. Layers that have none anywhere were cast as they are.
    private void CheckPlain()
    {
        var scaled = _scales.Keys.Select(Pattern).ToHashSet(StringComparer.Ordinal);
        if (_entries.Values.FirstOrDefault(entry => entry.Type.IsFloat8() && scaled.Contains(Pattern(entry.Name))) is { } bare)
        {
            throw Bad(bare.Name, $"is {bare.Type} without a scale, and the same weight of other layers has one");
        }
    }

    // The key without its numbers: the same in each layer.
    private static string Pattern(string key) => string.Join('.', key.Split('.').Select(part => part.All(char.IsAsciiDigit) ? "N" : part));

    private void Multiply(Tensor target, string key)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var scale = _source.Read(key).to_type(ScalarType.Float32);
        if (!scale.isfinite().all().item<bool>())
        {
            throw Bad(key, "is NaN or infinite: expected a finite scale");
        }

        target = target.detach();
        var isOne = scale.numel() == 1;
        scale = (isOne ? scale.reshape([]) : scale.reshape([-1, .. Enumerable.Repeat(1L, (int)target.dim() - 1)])).to(target.device);
        if (target.dim() == 0)
        {
            target.copy_(target.to_type(ScalarType.Float32).mul(scale));
            return;
        }

        var rows = Math.Max(1, PieceElements / Math.Max(1, target.numel() / target.shape[0]));
        for (long done = 0; done < target.shape[0]; done += rows)
        {
            using var inner = NewDisposeScope();
            var count = Math.Min(rows, target.shape[0] - done);
            var piece = target.narrow(0, done, count);
            piece.copy_(piece.to_type(ScalarType.Float32).mul(isOne ? scale : scale.narrow(0, done, count)));
        }
    }

    private NablaGenException Bad(string key, string what) => new(Line.Of($"{_source.FileOf(key)}: the tensor {Line.Key(key)} {what}."));
}
