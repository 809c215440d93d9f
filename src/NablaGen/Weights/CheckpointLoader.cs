using NablaGen.Files;
using NablaGen.Tensors;
using NablaGen.Tensors.Matrices;
using static TorchSharp.torch;

namespace NablaGen.Weights;

/// <summary>Puts a checkpoint's tensors into a module, after checking that they are the module's.</summary>
public static class CheckpointLoader
{
    /// <summary>
    /// Checks keys, shapes and types from the directory alone, reading no data: each expected tensor is there, has its shape
    /// and holds real numbers, and there is no other.
    /// </summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="expected">Name → shape of each tensor, as <see cref="ModuleExtensions.Shapes"/> gives it.</param>
    /// <exception cref="NablaGenException">They differ: one line with the first of each kind of fault and how many more there are.</exception>
    public static void Check(ITensorSource source, IReadOnlyDictionary<string, long[]> expected)
    {
        var missing = new List<string>();
        var shapes = new List<string>();
        var types = new List<string>();
        foreach (var (name, shape) in expected)
        {
            if (!source.Entries.TryGetValue(name, out var entry))
            {
                missing.Add($"the tensor {Line.Key(name)} is missing: expected {Line.Shape(shape)}, found none");
            }
            else if (!shape.AsSpan().SequenceEqual(entry.Shape))
            {
                shapes.Add($"tensor {Line.Key(entry.Name)} has the wrong shape: expected {Line.Shape(shape)}, "
                    + $"found {Line.Shape(entry.Shape)}{Shard(source, entry)}");
            }
            else if (!entry.Type.IsFloating())
            {
                types.Add($"tensor {Line.Key(entry.Name)} has the wrong type: expected real numbers such as F32 or BF16, "
                    + $"found {entry.Type}{Shard(source, entry)}");
            }
        }

        var unexpected = source.Entries.Values
            .Where(entry => !expected.ContainsKey(entry.Name))
            .Select(entry => $"the tensor {Line.Key(entry.Name)} is not expected: "
                + $"found {entry.Type} {Line.Shape(entry.Shape)}{Shard(source, entry)}")
            .ToList();
        var faults = new[] { shapes, types, missing, unexpected }.Where(list => list.Count > 0).ToList();
        if (faults.Count > 0)
        {
            throw new NablaGenException(
                $"{source.Path}: {string.Join("; ", faults.Select(list => list[0] + Others(list.Count - 1)))}.");
        }
    }

    /// <summary>
    /// Checks, then reads each tensor into the module's parameter of that name, one at a time, converted to the parameter's
    /// type and device on the way. In addition to the module it needs a few megabytes.
    /// </summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="module">The module, whose parameters have memory (not on the meta device).</param>
    /// <exception cref="NablaGenException">The checkpoint is not the module's, or can't be read.</exception>
    public static void Load(ITensorSource source, nn.Module module)
    {
        Check(source, module.Shapes());
        Copy(source, module);
    }

    /// <summary>As <see cref="Load"/>, for a part of a model whose checkpoint has been checked as a whole.</summary>
    internal static void Copy(ITensorSource source, nn.Module module)
    {
        foreach (var (name, parameter) in module.PlainParameters())
        {
            source.CopyTo(name, parameter);
        }

        foreach (var (name, matrix) in module.Matrices())
        {
            matrix.Load(new MatrixOf(source, name));
        }
    }

    private sealed class MatrixOf(ITensorSource source, string name) : IMatrixValues
    {
        public string Name => $"{source.FileOf(name)}: tensor {Line.Key(name)}";

        public StoredNumbers? Stored => source.FindStored(name);

        public void CopyTo(Tensor target) => source.CopyTo(name, target);
    }

    private static string Shard(ITensorSource source, TensorEntry entry) =>
        source.FileOf(entry.Name) is var file && file != source.Path ? $" in {Path.GetFileName(file)}" : "";

    private static string Others(int count) => count switch
    {
        0 => "",
        1 => " (and 1 more like it)",
        _ => $" (and {count} more like it)",
    };
}
