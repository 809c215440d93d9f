using NablaGen.Files;
using static TorchSharp.torch;

namespace NablaGen.Weights.Lora;

/// <summary>
/// A LoRA's file, with each of its keys assigned to a tensor of a model. Every key is applied, or belongs to a named part that this
/// model lacks, or is an error.
/// </summary>
internal sealed class LoraFile : IDisposable
{
    private readonly ITensorSource _source;
    private readonly LoraScaling _scaling;
    private readonly Dictionary<string, List<LoraDelta>> _deltas = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, int> _leftOut = new(StringComparer.Ordinal);

    private LoraFile(LoraChoice choice, ITensorSource source)
    {
        (Choice, _source) = (choice, source);
        _scaling = LoraScaling.Read(choice, source);
    }

    /// <summary>Which it is.</summary>
    public LoraChoice Choice { get; }

    /// <summary>The tensors that it changes.</summary>
    public IReadOnlyDictionary<string, List<LoraDelta>> Changes => _deltas;

    /// <summary>One line about keys that are left out; null where none is.</summary>
    public string? LeftOut => _leftOut.Count == 0 ? null
        : $"{Choice.Name}: {_leftOut.Values.Sum()} of {_source.Entries.Count} keys are left out, for parts that this model does not have: "
            + string.Join(", ", _leftOut.Keys);

    /// <summary>Opens a file and checks every key and shape against a model's; no weights are read but for <c>.alpha</c>.</summary>
    /// <param name="choice">The LoRA.</param>
    /// <param name="model">The model's tensors.</param>
    /// <param name="names">Their names.</param>
    /// <exception cref="NablaGenException">There is no such file, it is malformed, or a key is not understood or does not fit.</exception>
    public static LoraFile Open(LoraChoice choice, ITensorSource model, LoraNames names)
    {
        var source = TensorSources.Open(choice.WeightsPath);
        try
        {
            var lora = new LoraFile(choice, source);
            lora.Assign(model, names);
            return lora;
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _source.Dispose();

    private void Assign(ITensorSource model, LoraNames names)
    {
        var modules = new OrderedDictionary<string, Dictionary<LoraRole, string>>(StringComparer.Ordinal);
        var spelled = new Dictionary<string, string>(StringComparer.Ordinal);
        var unknown = new List<string>();
        var foreign = new List<string>();
        foreach (var (key, entry) in _source.Entries)
        {
            if (LoraDialects.Refused.FirstOrDefault(refused => key.Contains(refused.Part, StringComparison.Ordinal)) is { Method: { } method })
            {
                throw Fault($"the key {Line.Key(key)} is of a kind that cannot be merged: {method}");
            }

            if (LoraDialects.Split(key) is not var (stem, role))
            {
                unknown.Add($"the key {Line.Key(key)} is not understood: expected one that ends in {string.Join(", ", LoraDialects.Endings.Take(2).Select(ending => ending.Ending))}, .alpha, .diff or the like");
                continue;
            }

            if (!entry.Type.IsFloating() && role != LoraRole.Alpha)
            {
                throw Fault($"the key {Line.Key(key)} has the wrong type: expected real numbers such as F32 or BF16, found {entry.Type}");
            }

            var (module, tensor) = LoraDialects.Candidates(stem).Select(candidate => (candidate, Tensor: names.Find(candidate, role)))
                .FirstOrDefault(found => found.Tensor is not null);
            if (tensor is null)
            {
                var absent = LoraDialects.Candidates(stem).Select(names.FindAbsent).OfType<string>().FirstOrDefault();
                if (absent is null)
                {
                    foreign.Add($"the key {Line.Key(key)} belongs to no tensor of this model");
                }
                else
                {
                    _leftOut[absent] = _leftOut.GetValueOrDefault(absent) + 1;
                }

                continue;
            }

            // The bias of a product and its factors belong together.
            var group = role == LoraRole.UpBias ? names.Find(module, LoraRole.Up) ?? tensor : tensor;
            modules.TryAdd(group, []);
            spelled[group] = module;
            if (!modules[group].TryAdd(role, key))
            {
                throw Fault($"the keys {Line.Key(modules[group][role])} and {Line.Key(key)} both change {Line.Key(tensor)}");
            }
        }

        Refuse(unknown);
        Refuse(foreign);
        foreach (var (tensor, keys) in modules)
        {
            Add(model, names, spelled[tensor], tensor, keys);
        }

        if (_deltas.Count == 0)
        {
            throw Fault(_source.Entries.Count == 0 ? "holds no tensors" : $"has no effect: all of its keys are for parts that this model does not have: {string.Join(", ", _leftOut.Keys)}");
        }
    }

    private void Add(ITensorSource model, LoraNames names, string module, string tensor, Dictionary<LoraRole, string> keys)
    {
        foreach (var role in new[] { LoraRole.Difference, LoraRole.BiasDifference, LoraRole.ModulationDifference })
        {
            if (keys.TryGetValue(role, out var key))
            {
                Whole(model, tensor, key, 1);
            }
        }

        if (!keys.TryGetValue(LoraRole.Down, out var down) || !keys.TryGetValue(LoraRole.Up, out var up))
        {
            var lonely = keys.FirstOrDefault(part => part.Key is LoraRole.Down or LoraRole.Up or LoraRole.UpBias or LoraRole.Alpha).Value;
            if (lonely is not null)
            {
                throw Fault($"the key {Line.Key(lonely)} stands alone: expected both factors of the product for {Line.Key(tensor)}");
            }

            return;
        }

        var (a, b, w) = (_source.Entries[down], _source.Entries[up], model.Entries[tensor]);
        var rank = a.Shape.Length >= 2 ? a.Shape[0] : 0;
        if (rank < 1 || w.Shape.Length < 2 || Product(a.Shape.AsSpan(1)) != Product(w.Shape.AsSpan(1)))
        {
            throw Fault($"the key {Line.Key(down)} does not fit {Line.Key(tensor)} {Line.Shape(w.Shape)}: expected [rank, {(w.Shape.Length < 2 ? 1 : Product(w.Shape.AsSpan(1)))}], found {Line.Shape(a.Shape)}");
        }

        if (b.Shape.Length < 2 || b.Shape[0] != w.Shape[0] || Product(b.Shape.AsSpan(1)) != rank)
        {
            throw Fault($"the key {Line.Key(up)} does not fit {Line.Key(tensor)} {Line.Shape(w.Shape)} and rank {rank}: expected [{w.Shape[0]}, {rank}], found {Line.Shape(b.Shape)}");
        }

        var factor = _scaling.Factor(module, rank, keys.TryGetValue(LoraRole.Alpha, out var alpha) ? Alpha(alpha) : null);
        Deltas(tensor).Add(new LoraDelta(_source, up, down, Choice.Strength * factor));
        if (keys.TryGetValue(LoraRole.UpBias, out var bias))
        {
            Whole(model, names.Find(module, LoraRole.UpBias)!, bias, factor);
        }
    }

    private void Whole(ITensorSource model, string tensor, string key, double factor)
    {
        var (found, expected) = (_source.Entries[key].Shape, model.Entries[tensor].Shape);
        // [1, 6, C] is written as [6, C] too.
        if (!found.Where(side => side != 1).SequenceEqual(expected.Where(side => side != 1)))
        {
            throw Fault($"the key {Line.Key(key)} does not fit {Line.Key(tensor)}: expected {Line.Shape(expected)}, found {Line.Shape(found)}");
        }

        Deltas(tensor).Add(new LoraDelta(_source, key, null, Choice.Strength * factor));
    }

    private List<LoraDelta> Deltas(string tensor)
    {
        if (!_deltas.TryGetValue(tensor, out var deltas))
        {
            _deltas.Add(tensor, deltas = []);
        }

        return deltas;
    }

    private double Alpha(string key)
    {
        if (Product(_source.Entries[key].Shape) != 1)
        {
            throw Fault($"the key {Line.Key(key)}: expected one number, found {Line.Shape(_source.Entries[key].Shape)}");
        }

        using var scope = NewDisposeScope();
        var value = _source.Read(key).to_type(ScalarType.Float64).reshape(1)[0].item<double>();
        return double.IsFinite(value) ? value : throw Fault($"the key {Line.Key(key)} is no finite number");
    }

    private void Refuse(List<string> faults)
    {
        if (faults.Count > 0)
        {
            throw Fault(faults[0] + (faults.Count == 1 ? "" : $" (and {faults.Count - 1} more like it)"));
        }
    }

    // The header's reader has seen to it that sizes multiply to what is in the file.
    private static long Product(ReadOnlySpan<long> shape)
    {
        var product = 1L;
        foreach (var side in shape)
        {
            product *= side;
        }

        return product;
    }

    private NablaGenException Fault(string what) => new($"{_source.Path}: {what}.");
}
