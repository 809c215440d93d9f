using NablaGen.Files;

namespace NablaGen.Weights;

/// <summary>A tensor as a saved state_dict describes it: a stretch of a storage, counted in elements.</summary>
internal sealed record StateTensor(string Storage, StoredType Type, long StorageCount, long Offset, long[] Shape);

/// <summary>
/// Reads the pickle inside a <c>.pth</c> file: a dictionary of tensors, as <c>torch.save(model.state_dict(), path)</c> leaves it.
/// </summary>
internal static class StateDict
{
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

    /// <summary>The tensors by key, in the file's order.</summary>
    /// <exception cref="FormatException">It is malformed, names an unknown global, or holds more than contiguous tensors.</exception>
    public static List<KeyValuePair<string, StateTensor>> Read(byte[] pickle)
    {
        if (new PickleReader(pickle, Call, Persistent).Read() is not PickleDict dictionary)
        {
            throw new FormatException("expected a dictionary of tensors");
        }

        var tensors = new List<KeyValuePair<string, StateTensor>>();
        foreach (var (key, value) in dictionary.Items)
        {
            if (key is not string name)
            {
                throw new FormatException($"expected names as keys, found {Kind(key)}");
            }

            if (value is not ViewTensor view)
            {
                throw new FormatException($"the value of {Line.Key(name)}: expected a tensor, found {Kind(value)}");
            }

            if (!view.IsContiguous)
            {
                throw new FormatException(
                    $"tensor {Line.Key(name)} is not contiguous: shape {Line.Shape(view.Shape)}, strides {Line.Shape(view.Strides)}");
            }

            var (storage, type, count) = view.Storage;
            tensors.Add(KeyValuePair.Create(name, new StateTensor(storage, type, count, view.Offset, view.Shape)));
        }

        return tensors;
    }

    // The globals that a state_dict needs. Classes that are only named (the storages' types) are known in Persistent.
    private static object? Call(PickleGlobal function, List<object?> arguments) => (function.ToString(), arguments) switch
    {
        ("collections.OrderedDict", []) => new PickleDict(),
        ("collections.OrderedDict", _) => throw new FormatException("found an OrderedDict with arguments, expected one without"),
        ("torch._utils._rebuild_tensor_v2", [Storage storage, long offset, List<object?> shape, List<object?> strides, ..]) =>
            new ViewTensor(storage, offset, Numbers(shape), Numbers(strides)),
        ("torch._utils._rebuild_tensor_v2", _) => throw new FormatException("found a tensor with unknown arguments"),
        ("torch._utils._rebuild_parameter", [ViewTensor tensor, ..]) => tensor,
        _ => throw new FormatException($"the pickle calls {Line.Key(function.ToString())}, which a state_dict of tensors never calls"),
    };

    private static Storage Persistent(object? id)
    {
        if (id is not List<object?> parts || parts is not ["storage", PickleGlobal type, string key, _, long count, ..])
        {
            throw new FormatException("found a persistent id that is not a storage");
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

    private sealed record Storage(string Key, StoredType Type, long Count);

    private sealed record ViewTensor(Storage Storage, long Offset, long[] Shape, long[] Strides)
    {
        // Row-major without gaps; the stride of a side of length 1 means nothing.
        public bool IsContiguous
        {
            get
            {
                if (Shape.Length != Strides.Length)
                {
                    return false;
                }

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
}
