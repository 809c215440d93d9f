using NablaGen.Tensors.Matrices;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Weights.Lora;

/// <summary>
/// A model's tensors with LoRAs merged as they are read: W + Σ strength · factor · B A, in float32, whatever type W is stored in. Tensors
/// that no LoRA changes, and all of them at strength 0, are read as they are, to the same bits. Disposing of it disposes of the source.
/// </summary>
public sealed class LoraSource : ITensorSource
{
    private readonly ITensorSource _source;
    private readonly IReadOnlyList<LoraFile> _loras;
    private readonly Dictionary<string, List<LoraDelta>> _deltas = new(StringComparer.Ordinal);
    private readonly Dictionary<string, TensorEntry> _entries;
    private Tensor? _scratch;

    private LoraSource(ITensorSource source, IReadOnlyList<LoraFile> loras)
    {
        (_source, _loras) = (source, loras);
        _entries = new Dictionary<string, TensorEntry>(source.Entries, StringComparer.Ordinal);
        foreach (var (tensor, deltas) in loras.Where(lora => lora.Choice.Strength != 0).SelectMany(lora => lora.Changes))
        {
            if (_deltas.TryAdd(tensor, []))
            {
                var entry = source.Entries[tensor];
                _entries[tensor] = entry with { Type = StoredType.F32, ByteCount = entry.Shape.Aggregate(4L, (bytes, side) => bytes * side) };
            }

            _deltas[tensor].AddRange(deltas);
        }
    }

    /// <inheritdoc/>
    public string Path => _source.Path;

    /// <summary>The model's own files, without the LoRAs': its hash names the model alone.</summary>
    public IReadOnlyList<string> Files => _source.Files;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorEntry> Entries => _entries;

    /// <summary>The tensors that are changed.</summary>
    public IReadOnlyCollection<string> Changed => _deltas.Keys;

    /// <summary>A line for each LoRA that has keys for parts that the model does not have.</summary>
    public IReadOnlyList<string> Notes => [.. _loras.Select(lora => lora.LeftOut).OfType<string>()];

    /// <summary>Merges LoRAs into a source; every key and shape of theirs is checked, and no weights are read.</summary>
    /// <param name="source">The model's tensors, this one's own from now on.</param>
    /// <param name="loras">The LoRAs; their changes add up.</param>
    /// <param name="names">The names of the model's tensors.</param>
    /// <exception cref="NablaGenException">A LoRA is missing or malformed, or is not for this model.</exception>
    public static LoraSource Over(ITensorSource source, IReadOnlyList<LoraChoice> loras, LoraNames names)
    {
        var files = new List<LoraFile>();
        try
        {
            foreach (var lora in loras)
            {
                files.Add(LoraFile.Open(lora, source, names));
            }

            return new LoraSource(source, files);
        }
        catch
        {
            files.ForEach(file => file.Dispose());
            source.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public string FileOf(string name) => _source.FileOf(name);

    /// <inheritdoc/>
    public Tensor Read(string name)
    {
        if (!_deltas.ContainsKey(name))
        {
            return _source.Read(name);
        }

        var tensor = empty(_entries[name].Shape, dtype: ScalarType.Float32, device: CPU);
        try
        {
            Merge(name, tensor);
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
        if (!_deltas.ContainsKey(name) || !target.shape.AsSpan().SequenceEqual(_entries[name].Shape))
        {
            // The source says what is wrong with a target.
            _source.CopyTo(name, target);
            return;
        }

        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        if (target.dtype == ScalarType.Float32 && target.device_type == DeviceType.CPU && target.is_contiguous())
        {
            Merge(name, target.detach());
            return;
        }

        var merged = Scratch(target.numel()).view(target.shape);
        Merge(name, merged);
        target.copy_(merged);
    }

    /// <inheritdoc/>
    public StoredNumbers? FindStored(string name) => _deltas.ContainsKey(name) ? null : _source.FindStored(name);

    /// <inheritdoc/>
    public void Dispose()
    {
        _scratch?.Dispose();
        foreach (var lora in _loras)
        {
            lora.Dispose();
        }

        _source.Dispose();
    }

    private void Merge(string name, Tensor target)
    {
        _source.CopyTo(name, target);
        foreach (var delta in _deltas[name])
        {
            delta.AddTo(target);
        }
    }

    // Kept from tensor to tensor: freed and taken again, it would leave holes in the heap (see TensorReader).
    private Tensor Scratch(long elements)
    {
        if (_scratch is null || _scratch.numel() < elements)
        {
            _scratch?.Dispose();
            _scratch = empty(elements, dtype: ScalarType.Float32, device: CPU).DetachFromDisposeScope();
        }

        return _scratch.narrow(0, 0, elements);
    }
}
