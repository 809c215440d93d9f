using NablaGen.Files;

namespace NablaGen.Weights;

/// <summary>A tensor as a saved state_dict describes it: a view of a storage, counted in elements.</summary>
/// <param name="Storage">The storage's name in the file.</param>
/// <param name="Type">The elements' type.</param>
/// <param name="StorageCount">Elements of the storage.</param>
/// <param name="Offset">The first element.</param>
/// <param name="Shape">Its sizes.</param>
/// <param name="Strides">Elements from one index of a side to the next; as long as the shape.</param>
internal sealed record StateTensor(string Storage, StoredType Type, long StorageCount, long Offset, long[] Shape, long[] Strides)
{
    /// <summary>Whether it is row-major without gaps; the stride of a side of length 1 means nothing.</summary>
    public bool IsContiguous
    {
        get
        {
            UInt128 expected = 1;
            for (var i = Shape.Length - 1; i >= 0; i--)
            {
                if (Shape[i] != 1 && (UInt128)Strides[i] != expected && !Shape.Contains(0))
                {
                    return false;
                }

                expected *= (UInt128)Shape[i];
            }

            return true;
        }
    }
}

/// <summary>
/// Reads the pickle inside a <c>.pth</c> file: a dictionary of tensors, as <c>torch.save(model.state_dict(), path)</c> leaves it, or
/// such a dictionary inside a trainer's own (<c>state_dict</c>, <c>model</c> …).
/// </summary>
internal static class StateDict
{
    private const int MostWrappers = 4;

    private static readonly Dictionary<string, StoredType> Storages = new(StringComparer.Ordinal)
    {
        ["DoubleStorage"] = StoredType.F64,
        ["FloatStorage"] = StoredType.F32,
        ["HalfStorage"] = StoredType.F16,
        ["BFloat16Storage"] = StoredType.BF16,
        ["LongStorage"] = StoredType.I64,
        ["IntStorage"] = StoredType.I32,
        ["ShortStorage"] = StoredType.I16,
        ["CharStorage"] = StoredType.I8,
        ["ByteStorage"] = StoredType.U8,
        ["BoolStorage"] = StoredType.BOOL,
    };

    // Types that came after typed storages: their tensors lie in bytes and name their type themselves.
    private static readonly Dictionary<string, StoredType> Types = new(StringComparer.Ordinal)
    {
        ["float8_e4m3fn"] = StoredType.F8_E4M3,
        ["float8_e5m2"] = StoredType.F8_E5M2,
    };

    // Where trainers keep a model's weights in a dictionary of theirs.
    private static readonly string[] Wrappers = ["state_dict", "model_state_dict", "model", "module", "generator", "ema", "model_ema", "generator_ema"];

    /// <summary>The tensors by key, in the file's order.</summary>
    /// <exception cref="FormatException">It is malformed, names an unknown global, or holds something other than tensors.</exception>
    public static List<KeyValuePair<string, StateTensor>> Read(byte[] pickle, int start = 0) => Read(pickle, start, out _);

    /// <summary>The same, and the byte after the pickle.</summary>
    /// <exception cref="FormatException">It is malformed, names an unknown global, or holds something other than tensors.</exception>
    public static List<KeyValuePair<string, StateTensor>> Read(byte[] pickle, int start, out int end)
    {
        var reader = new PickleReader(pickle, Call, Persistent, start);
        if (reader.Read() is not PickleDict dictionary)
        {
            throw new FormatException("expected a dictionary of tensors");
        }

        end = reader.End;
        var tensors = new List<KeyValuePair<string, StateTensor>>();
        foreach (var (key, value) in Unwrapped(dictionary, MostWrappers).Items)
        {
            if (key is not string name)
            {
                throw new FormatException($"expected names as keys, found {Kind(key)}");
            }

            tensors.Add(value is StateTensor tensor
                ? KeyValuePair.Create(name, tensor)
                : throw new FormatException($"the value of {Line.Key(name)}: expected a tensor, found {Kind(value)}"));
        }

        return tensors;
    }

    private static PickleDict Unwrapped(PickleDict dictionary, int left)
    {
        var inside = dictionary.Items.Where(item => item.Key is string key && Wrappers.Contains(key) && item.Value is PickleDict { Items.Count: > 0 }).ToList();
        if (left == 0 || inside.Count == 0 || dictionary.Items.Any(item => item.Value is StateTensor))
        {
            return dictionary;
        }

        return inside.Count == 1
            ? Unwrapped((PickleDict)inside[0].Value!, left - 1)
            : throw new FormatException($"it holds several models, {string.Join(" and ", inside.Select(item => Line.Key((string)item.Key!)))}: "
                + "save the one that you want on its own");
    }

    // The globals that a state_dict needs. Classes that are only named (the storages' types) are known in Persistent.
    private static object? Call(PickleGlobal function, List<object?> arguments) => (function.ToString(), arguments) switch
    {
        ("collections.OrderedDict", []) => new PickleDict(),
        ("collections.OrderedDict", _) => throw new FormatException("found an OrderedDict with arguments, expected one without"),
        ("torch._utils._rebuild_tensor" or "torch._utils._rebuild_tensor_v2", [Storage storage, long offset, List<object?> shape, List<object?> strides, ..]) =>
            View(storage, storage.Type ?? throw new FormatException("found a tensor without a type"), offset, shape, strides),
        ("torch._utils._rebuild_tensor_v3", [Storage storage, long offset, List<object?> shape, List<object?> strides, _, _, PickleGlobal type, ..]) =>
            View(storage, Typed(type), offset, shape, strides),
        ("torch._utils._rebuild_tensor" or "torch._utils._rebuild_tensor_v2" or "torch._utils._rebuild_tensor_v3", _) =>
            throw new FormatException("found a tensor with unknown arguments"),
        ("torch._utils._rebuild_parameter", [StateTensor tensor, ..]) => tensor,
        _ => throw new FormatException($"the pickle calls {Line.Key(function.ToString())}, which a state_dict of tensors never calls"),
    };

    private static StoredType Typed(PickleGlobal type) => type.Module == "torch" && Types.TryGetValue(type.Name, out var stored)
        ? stored
        : throw new FormatException($"the pickle names {Line.Key(type.ToString())}: expected one of {string.Join(", ", Types.Keys)}");

    private static StateTensor View(Storage storage, StoredType type, long offset, List<object?> shape, List<object?> strides)
    {
        var (sides, steps) = (Numbers(shape), Numbers(strides));
        return sides.Length != steps.Length
            ? throw new FormatException($"found a tensor with {sides.Length} sides and {steps.Length} strides")
            : new StateTensor(storage.Key, type, storage.Type is null ? storage.Count / type.Size() : storage.Count, offset, sides, steps);
    }

    private static Storage Persistent(object? id)
    {
        if (id is not List<object?> parts || parts is not ["storage", PickleGlobal type, string key, _, long count, ..])
        {
            throw new FormatException("found a persistent id that is not a storage");
        }

        if (type is { Name: "UntypedStorage", Module: "torch" or "torch.storage" })
        {
            return new Storage(key, null, count);
        }

        return type.Module == "torch" && Storages.TryGetValue(type.Name, out var stored)
            ? new Storage(key, stored, count)
            : throw new FormatException($"the pickle names {Line.Key(type.ToString())}: expected one of {string.Join(", ", Storages.Keys)}");
    }

    private static long[] Numbers(List<object?> values) =>
        [.. values.Select(value => value is long number and >= 0
            ? number
            : throw new FormatException("found a shape that is not a list of whole numbers from 0"))];

    private static string Kind(object? value) => value switch
    {
        null => "None",
        PickleDict => "a dictionary",
        List<object?> => "a list",
        string => "a string",
        bool or long or double => "a number",
        PickleGlobal global => Line.Key(global.ToString()),
        _ => "something else",
    };

    // Without a type: bytes, of which the tensor says what they are.
    private sealed record Storage(string Key, StoredType? Type, long Count);
}
