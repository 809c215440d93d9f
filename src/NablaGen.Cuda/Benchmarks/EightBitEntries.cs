using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Device;
using NablaGen.Cuda.Fused;
using NablaGen.Cuda.Gemm;

namespace NablaGen.Cuda.Benchmarks;

/// <summary>Products and attention in eight bits. The attention's time has its quantisation's and its plan's in it.</summary>
internal static class EightBitEntries
{
    public static IReadOnlyList<KernelEntry> All { get; } =
    [
        new("quantize_rows", Rows, KernelNeeds.Hopper),
        new("fp8_linear", Products, KernelNeeds.Hopper),
        new("attention_statistics", Statistics, KernelNeeds.Fp8),
        new("attention_quantize", Tiles, KernelNeeds.Fp8),
        new("block_attention8_sm90", data => Attention(data, EightBitKernel.Hopper, data.Masks().Append(data.Dense())), KernelNeeds.Hopper),
        new("block_attention8_sm89", data => Attention(data, EightBitKernel.Ada, data.Masks()), KernelNeeds.Fp8),
    ];

    private static IEnumerable<KernelLoad> Rows(KernelData data)
    {
        var (shape, rows) = (data.Shape, Quantised(data, "x", data.Q, data.Shape.Tokens));
        // GELU's rows are the feed-forward's: as many as Q has room for.
        foreach (var (columns, gelu) in new[] { (shape.Columns, false), (shape.Wide, true) })
        {
            var count = shape.Elements / columns;
            yield return new KernelLoad(
                $"{count} × {columns}{(gelu ? " of GELU" : "")}", 3.0 * count * columns + 4.0 * count, KernelLoad.Bytes,
                () => new QuantizeRows(data.Device).Run(data.Q.Pointer, rows.At, rows.Scales, ElementType.BFloat16, count, columns, gelu));
        }
    }

    // A product as wide as the model, like q, k, v and o.
    private static IEnumerable<KernelLoad> Products(KernelData data)
    {
        var shape = data.Shape;
        var x = Quantised(data, "x", data.Q, shape.Tokens);
        var noise = data.Make("weight", () => BenchNoise.BFloat16(data.Device, (long)shape.Columns * shape.Columns, seed: 7));
        var weight = Quantised(data, "weight", noise, shape.Columns);
        new QuantizeRows(data.Device).Run(data.Q.Pointer, x.At, x.Scales, ElementType.BFloat16, shape.Tokens, shape.Columns);
        new QuantizeRows(data.Device).Run(noise.Pointer, weight.At, weight.Scales, ElementType.BFloat16, shape.Columns, shape.Columns);
        foreach (var fast in new[] { true, false })
        {
            var linear = data.Make($"fp8 linear {fast}", () => new Fp8Linear(data.Device, fast));
            yield return new KernelLoad(
                $"{shape.Tokens} × {shape.Columns}² {(fast ? "fast sums" : "float32 sums")}", 2.0 * shape.Elements * shape.Columns, KernelLoad.Products,
                () => linear.Run(x.At, x.Scales, weight.At, weight.Scales, 0, data.Output.Pointer, shape.Tokens, shape.Columns, shape.Columns));
        }
    }

    private static KernelLoad Statistics(KernelData data)
    {
        var attention = Make(data);
        var shape = data.Shape;
        var tokens = Math.Min(shape.Tokens, LaunchConstants.StatisticTokens);
        return new KernelLoad($"{tokens} of {shape.Tokens} × {shape.Columns}", 4.0 * tokens * shape.Columns, KernelLoad.Bytes,
            () => attention.Look(data.Tensor(data.Q), data.Tensor(data.K), data.Tensor(data.V), data.Offsets, 0));
    }

    private static KernelLoad Tiles(KernelData data)
    {
        var attention = Make(data);
        var (q, k, v, shape) = (data.Tensor(data.Q), data.Tensor(data.K), data.Tensor(data.V), data.Shape);
        var tiles = attention.Look(q, k, v, data.Offsets, 0);
        return new KernelLoad($"{shape.Tokens} × {shape.Columns}", 9.0 * shape.Elements, KernelLoad.Bytes, () => attention.Fill(tiles, q, k, v, data.Offsets, 0));
    }

    private static IEnumerable<KernelLoad> Attention(KernelData data, EightBitKernel kernel, IEnumerable<(string Name, DeviceBlockMask Mask)> masks)
    {
        var attention = data.Make($"eight-bit attention {kernel}", () => new EightBitAttention(data.Device, kernel));
        var shape = data.Shape;
        foreach (var (name, mask) in masks)
        {
            var pairs = (double)shape.Tokens * shape.Tokens * mask.Density();
            yield return new KernelLoad(name, 4.0 * pairs * shape.HeadSize * shape.Heads, KernelLoad.Products, () => attention.Run(
                data.Tensor(data.Q), data.Tensor(data.K), data.Tensor(data.V), data.Tensor(data.Output), data.Offsets, mask));
        }
    }

    private static EightBitAttention Make(KernelData data) => data.Make("eight-bit attention", () => new EightBitAttention(data.Device));

    private static (nint At, nint Scales) Quantised(KernelData data, string name, CudaBuffer from, int rows) =>
        (data.Room($"fp8 {name}", from.Bytes / 2).Pointer, data.Room($"scales of {name}", 4L * rows).Pointer);
}
