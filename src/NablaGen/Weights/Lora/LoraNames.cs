using NablaGen.Files;

namespace NablaGen.Weights.Lora;

/// <summary>
/// A model's tensors by the names that a LoRA may call them. Points and underscores are the same here, because kohya's keys have
/// underscores alone and modules' own names have some too: a key is never taken apart, it is looked up.
/// </summary>
public sealed class LoraNames
{
    private readonly Dictionary<string, string> _tensors = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _absent = new(StringComparer.Ordinal);

    /// <summary>The names of a model's tensors.</summary>
    /// <param name="tensors">The tensors' keys, as the model has them.</param>
    /// <param name="alias">Another program's name of a tensor's key; null where it is the same.</param>
    /// <param name="absent">Modules that models of the family may have and this one has not, each with the name of the part it belongs to.</param>
    /// <exception cref="NablaGenException">Two tensors' names differ in points and underscores alone.</exception>
    public LoraNames(IEnumerable<string> tensors, Func<string, string?> alias, IEnumerable<(string Module, string Part)> absent)
    {
        foreach (var tensor in tensors)
        {
            Add(tensor, tensor);
            if (alias(tensor) is { } other)
            {
                Add(other, tensor);
            }
        }

        foreach (var (module, part) in absent)
        {
            _absent[Plain(module)] = part;
        }
    }

    /// <summary>The tensor that a part of a module changes; null where there is none.</summary>
    /// <param name="module">The module's name, or for a parameter without a module (<c>modulation</c>) its own.</param>
    /// <param name="role">The part.</param>
    internal string? Find(string module, LoraRole role) => role switch
    {
        LoraRole.UpBias or LoraRole.BiasDifference => Get(module + "_bias"),
        LoraRole.ModulationDifference => Get(module + "_modulation") ?? Get(module + "_scale_shift_table"),
        LoraRole.Difference => Get(module + "_weight") ?? Get(module),
        _ => Get(module + "_weight"),
    };

    /// <summary>The named part of the family that a module belongs to and this model has not; null where it is no such module.</summary>
    internal string? FindAbsent(string module)
    {
        var plain = Plain(module);
        return _absent.FirstOrDefault(absent => plain == absent.Key || plain.StartsWith(absent.Key + "_", StringComparison.Ordinal)).Value;
    }

    private static string Plain(string name) => name.Replace('.', '_');

    private string? Get(string name) => _tensors.GetValueOrDefault(Plain(name));

    private void Add(string name, string tensor)
    {
        if (!_tensors.TryAdd(Plain(name), tensor) && _tensors[Plain(name)] != tensor)
        {
            throw new NablaGenException($"the model's tensors {Line.Key(_tensors[Plain(name)])} and {Line.Key(tensor)} cannot be told apart by the keys of a LoRA");
        }
    }
}
