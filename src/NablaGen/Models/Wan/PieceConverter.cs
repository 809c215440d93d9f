using NablaGen.Files;
using NablaGen.Models.Wan.Layouts;
using NablaGen.Models.Wan.Layouts.Keys;
using NablaGen.Tensors;
using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan;

/// <summary>
/// Writes a part of a model anew: one safetensors file, Wan's own names (which ComfyUI's transformers have too), another number format. A tensor is in
/// memory at a time.
/// </summary>
public static class PieceConverter
{
    private const float LargestE4M3 = 448;

    /// <summary>The number formats that can be written.</summary>
    public static IReadOnlyList<string> Formats { get; } = ["bf16", "fp16", "fp32", "fp8-scaled"];

    /// <summary>Converts a file, and reads the new one back to compare it.</summary>
    /// <param name="source">A part in any layout and number format that can be read.</param>
    /// <param name="target">The new file, which must not be there yet.</param>
    /// <param name="format">One of <see cref="Formats"/>. <c>fp8-scaled</c> stores the layers' matrices in E4M3 with a scale a tensor, as ComfyUI does, and the rest in fp16.</param>
    /// <param name="checkSpace">Is told how many bytes will be written, before any is; null for no check.</param>
    /// <param name="cancellation">Stops the work; nothing is left under the final name.</param>
    /// <returns>How many tensors were written.</returns>
    /// <exception cref="NablaGenException">The source is no part of a model or can't be read, or the target is there or can't be written.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static int Convert(string source, string target, string format, Action<long>? checkSpace = null, CancellationToken cancellation = default)
    {
        if (!Path.GetExtension(target).Equals(".safetensors", StringComparison.OrdinalIgnoreCase))
        {
            throw new NablaGenException($"{target}: expected a name that ends in .safetensors.");
        }

        if (Path.Exists(target))
        {
            throw new NablaGenException($"{target}: is there already: name another file.");
        }

        using var piece = PieceFile.Open(source)
            ?? throw new NablaGenException($"{source}: is no part of a Wan model by its keys: see nablagen inspect {Line.Of(source)}.");
        if (format == "fp8-scaled" && piece.Dialect.Piece == WanPiece.Vae)
        {
            throw new NablaGenException($"{source}: is a VAE, whose convolutions are not stored in 8 bits: use bf16, fp16 or fp32.");
        }

        Check(piece, source);
        var items = Items(piece.Source, format, cancellation).Concat(TokenizerOf(source, piece)).ToList();
        checkSpace?.Invoke(items.Sum(item => item.Shape.Aggregate((long)item.Type.Size(), (bytes, side) => bytes * side)));
        // The final name is given to what has been compared.
        var partial = OutputFile.Aside(target);
        try
        {
            SafetensorsWriter.Write(partial, items);
            Verify(partial, items);
            if (Path.Exists(target))
            {
                throw new NablaGenException($"{target}: was made by another program meanwhile: name another file.");
            }

            OutputFile.Rename(partial, target);
        }
        catch
        {
            OutputFile.Discard(partial);
            throw;
        }

        return items.Count;
    }

    private static void Check(PieceFile piece, string source)
    {
        var found = WanInspector.InspectFile(source)!;
        if (found.Problem is not null)
        {
            throw new NablaGenException(found.Problem);
        }

        if (found.Missing.Concat(found.Surplus).Concat(found.WrongShapes).FirstOrDefault() is { } key)
        {
            throw new NablaGenException($"{source}: is no whole {WanDialects.Title(piece.Dialect.Piece)}: the key {Line.Key(key)} is missing, too many or of the wrong shape; see nablagen inspect.");
        }
    }

    private static IEnumerable<(string Name, StoredType Type, long[] Shape, Func<Tensor> Make)> Items(ITensorSource source, string format, CancellationToken cancellation)
    {
        var type = format switch { "bf16" => ScalarType.BFloat16, "fp32" => ScalarType.Float32, "fp16" or "fp8-scaled" => ScalarType.Float16, _ => throw new ArgumentException(format, nameof(format)) };
        if (format == "fp8-scaled")
        {
            // Two elements ask ComfyUI not to multiply in 8 bits.
            yield return ("scaled_fp8", StoredType.F8_E4M3, [2], () => zeros([2], dtype: ScalarType.Byte));
        }

        foreach (var (name, entry) in source.Entries)
        {
            Tensor Float()
            {
                cancellation.ThrowIfCancellationRequested();
                using var scope = NewDisposeScope();
                return source.Read(name).to_type(ScalarType.Float32).MoveToOuterDisposeScope();
            }

            if (format == "fp8-scaled" && entry.Shape.Length == 2 && name.StartsWith("blocks.", StringComparison.Ordinal) && !name.Contains("embedding", StringComparison.Ordinal))
            {
                yield return (name, StoredType.F8_E4M3, entry.Shape, () => Codes(Float()));
                yield return (name[..^"weight".Length] + "scale_weight", StoredType.F32, [], () => Scale(Float()));
            }
            else
            {
                yield return (name, type.ToStoredType(), entry.Shape, () => Cast(source, name, entry.Shape, type, cancellation));
            }
        }
    }

    // As a model is loaded: rounded once.
    private static Tensor Cast(ITensorSource source, string name, long[] shape, ScalarType type, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        var tensor = empty(shape, dtype: type, device: CPU);
        source.CopyTo(name, tensor);
        return tensor.isfinite().all().item<bool>()
            ? tensor
            : throw new NablaGenException($"{source.FileOf(name)}: the tensor {Line.Key(name)} has values that are not finite in {type.ToStoredType()}: use bf16 or fp32.");
    }

    // The largest value becomes the largest of E4M3.
    private static Tensor Scale(Tensor weight)
    {
        using (weight)
        {
            using var scope = NewDisposeScope();
            var largest = weight.numel() == 0 ? 0 : weight.abs().max().item<float>();
            return tensor(largest > 0 ? largest / LargestE4M3 : 1f).MoveToOuterDisposeScope();
        }
    }

    private static unsafe Tensor Codes(Tensor weight)
    {
        using (weight)
        {
            using var scale = Scale(weight.alias());
            var inverse = 1 / scale.item<float>();
            var codes = empty(weight.shape, dtype: ScalarType.Byte, device: CPU);
            var from = TensorMemory.Floats(weight);
            TensorMemory.Use(codes, (to, count) =>
            {
                const long piece = 1 << 16;
                Parallel.For(0, (count + piece - 1) / piece, part =>
                {
                    for (var i = part * piece; i < Math.Min(count, (part + 1) * piece); i++)
                    {
                        to[i] = Float8.ToE4M3(from[i] * inverse);
                    }
                });
            });
            GC.KeepAlive(weight);
            return codes;
        }
    }

    private static IEnumerable<(string Name, StoredType Type, long[] Shape, Func<Tensor> Make)> TokenizerOf(string source, PieceFile piece)
    {
        if (piece.Dialect.Piece == WanPiece.TextEncoder && TokenizerFile.BytesInside(source) is { } bytes)
        {
            yield return (HuggingFaceTextKeys.Tokenizer, StoredType.U8, [bytes.Length], () => tensor(bytes));
        }
    }

    // Each tensor made again and compared with what is in the file.
    private static void Verify(string path, List<(string Name, StoredType Type, long[] Shape, Func<Tensor> Make)> items)
    {
        using var file = SafetensorsFile.Open(path);
        foreach (var (name, type, _, make) in items)
        {
            using var scope = NewDisposeScope();
            var (expected, found) = (make(), file.Read(name));
            if (type.IsFloat8())
            {
                expected = tensor(expected.data<byte>().ToArray().Select(code => Float8.Values(type)[code]).ToArray()).view(found.shape).to_type(ScalarType.BFloat16);
            }

            if (!expected.eq(found).all().item<bool>())
            {
                throw new NablaGenException($"{path}: the tensor {Line.Key(name)} was read back other than it was written: the disk or its file system is at fault.");
            }
        }
    }
}
