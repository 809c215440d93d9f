using NablaGen.Files;
using NablaGen.Tensors;
using NablaGen.Weights;
using NablaGen.Weights.Gguf;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Converting;

/// <summary>A part's tensors as they are written in a number format, each made when it is asked for.</summary>
internal static class PieceTensors
{
    private const float LargestE4M3 = 448;
    private const int FewElements = 1024;
    private const int BlockElements = 32;

    /// <summary>A part's tensors in a number format.</summary>
    /// <param name="source">The part, under Wan's own names; it stays open as long as they are made.</param>
    /// <param name="format">One of <see cref="PieceConverter.Formats"/> but GGUF's.</param>
    /// <param name="rename">The name in the file.</param>
    /// <param name="cancellation">Stops the making.</param>
    public static IEnumerable<ConvertedTensor> Of(ITensorSource source, string format, Func<string, string> rename, CancellationToken cancellation)
    {
        var type = format switch { "bf16" => ScalarType.BFloat16, "fp32" => ScalarType.Float32, "fp16" or "fp8-scaled" => ScalarType.Float16, _ => throw new ArgumentException(format, nameof(format)) };
        if (format == "fp8-scaled")
        {
            // Two elements ask ComfyUI not to multiply in 8 bits.
            yield return new ConvertedTensor("scaled_fp8", StoredType.F8_E4M3, [2], () => zeros([2], dtype: ScalarType.Byte));
        }

        foreach (var (name, entry) in source.Entries)
        {
            Tensor Float()
            {
                cancellation.ThrowIfCancellationRequested();
                using var scope = NewDisposeScope();
                return source.Read(name).to_type(ScalarType.Float32).MoveToOuterDisposeScope();
            }

            if (format == "fp8-scaled" && entry.Shape.Length == 2 && IsLayersMatrix(name))
            {
                yield return new ConvertedTensor(rename(name), StoredType.F8_E4M3, entry.Shape, () => Codes(Float()));
                yield return new ConvertedTensor(rename(name)[..^"weight".Length] + "scale_weight", StoredType.F32, [], () => Scale(Float()));
            }
            else
            {
                yield return new ConvertedTensor(rename(name), type.ToStoredType(), entry.Shape, () => Cast(source, name, entry.Shape, type, cancellation));
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

    /// <summary>A part's tensors in the float type that they are stored in; what is quantised becomes bfloat16.</summary>
    /// <param name="source">The part; it stays open as long as they are made.</param>
    /// <param name="rename">The name in the file.</param>
    /// <param name="cancellation">Stops the making.</param>
    public static IEnumerable<ConvertedTensor> AsStored(ITensorSource source, Func<string, string> rename, CancellationToken cancellation) => source.Entries.Select(pair =>
    {
        var type = pair.Value.Type is StoredType.F32 or StoredType.F16 or StoredType.BF16 && pair.Value.Format == pair.Value.Type.ToString() ? pair.Value.Type.ToScalarType() : ScalarType.BFloat16;
        return new ConvertedTensor(rename(pair.Key), type.ToStoredType(), pair.Value.Shape, () => Cast(source, pair.Key, pair.Value.Shape, type, cancellation));
    });

    /// <summary>
    /// A transformer's tensors as GGUF: the layers' matrices in Q8_0 where their rows are whole blocks, what is small or has another number of sides in
    /// float32, as ComfyUI-GGUF's converter leaves it, and the rest in float16.
    /// </summary>
    /// <param name="source">The transformer; it stays open as long as they are made.</param>
    /// <param name="cancellation">Stops the making.</param>
    public static IEnumerable<GgufItem> Gguf(ITensorSource source, CancellationToken cancellation) => source.Entries.Select(pair =>
    {
        var shape = pair.Value.Shape;
        var isSmall = shape.Length != 2 || shape.Aggregate(1L, (product, side) => product * side) <= FewElements;
        var isQuantised = !isSmall && IsLayersMatrix(pair.Key) && shape[1] % BlockElements == 0;
        var type = isSmall || isQuantised ? ScalarType.Float32 : ScalarType.Float16;
        return new GgufItem(pair.Key, isQuantised ? GgufWriter.Q8 : isSmall ? 0u : 1u, shape, () => Cast(source, pair.Key, shape, type, cancellation));
    });

    private static bool IsLayersMatrix(string name) =>
        name.StartsWith("blocks.", StringComparison.Ordinal) && name.EndsWith(".weight", StringComparison.Ordinal) && !name.Contains("embedding", StringComparison.Ordinal);
}
