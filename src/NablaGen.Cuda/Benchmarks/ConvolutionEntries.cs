using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Convolution;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Benchmarks;

/// <summary>The convolutions of Wan2.1's decoder, of a video of 720 × 1280 where the model's tensors have room for its frames.</summary>
internal static class ConvolutionEntries
{
    public static IReadOnlyList<KernelEntry> All { get; } =
    [
        new("causal_conv3d_sm90", Convolutions, KernelNeeds.Hopper),
        new("conv_weights", Weights, KernelNeeds.Hopper),
    ];

    private static IEnumerable<KernelLoad> Convolutions(KernelData data)
    {
        yield return Load(data, new(ElementType.BFloat16, 96, 96, 3, 3), 1, 720);
        yield return Load(data, new(ElementType.BFloat16, 96, 96, 3, 3), 1, 720, adds: true);
        yield return Load(data, new(ElementType.BFloat16, 192, 192, 3, 3), 1, 360);
        yield return Load(data, new(ElementType.BFloat16, 192, 192, 3, 3), 1, 360, adds: true);
        yield return Load(data, new(ElementType.BFloat16, 192, 192, 3, 3), 4, 360);
        yield return Load(data, new(ElementType.BFloat16, 384, 384, 3, 3), 2, 180);
        yield return Load(data, new(ElementType.BFloat16, 384, 768, 3, 1), 2, 180);
        yield return Load(data, new(ElementType.BFloat16, 96, 32, 3, 3), 1, 720);
        yield return Load(data, new(ElementType.BFloat16, 384, 192, 1, 3, Doubles: true), 4, 180);
        yield return Load(data, new(ElementType.BFloat16, 192, 96, 1, 3, Doubles: true), 1, 360);
    }

    private static KernelLoad Load(KernelData data, ConvolutionShape shape, int frames, int height, bool adds = false)
    {
        var seen = frames + shape.Taps - 1;
        while (height > 1 && (long)seen * height * Width(height) * shape.Inputs > data.Shape.Elements)
        {
            height /= 2;
        }

        var (width, scale) = (Width(height), shape.Doubles ? 2 : 1);
        var (pixels, name) = (height * width, $"{shape.Inputs} → {shape.Outputs}");
        var output = data.Room($"convolution {shape} {frames}", 2L * frames * pixels * scale * scale * shape.Outputs);
        // Packed or not, they are as random.
        var weights = Random(data, shape);
        nint[] addresses = [.. Enumerable.Range(0, seen).Select(frame => data.Q.Pointer + (nint)(2L * frame * pixels * shape.Inputs))];
        return new KernelLoad(
            $"{name}, {shape.Taps}×{shape.Side}×{shape.Side}, {frames}×{height * scale}×{width * scale}{(shape.Doubles ? ", doubled" : "")}{(adds ? ", plus" : "")}",
            shape.Operations * frames * pixels * scale * scale, KernelLoad.Products,
            () => new CausalConvolution(data.Device).Run(
                shape, new FrameAddresses(addresses, height, width), weights.Pointer, data.K.Pointer, output.Pointer, addend: adds ? data.K.Pointer : 0));
    }

    private static KernelLoad Weights(KernelData data)
    {
        var shape = new ConvolutionShape(ElementType.BFloat16, 96, 96, 3, 3);
        var (plain, packed) = (Random(data, shape), data.Room("packed", shape.WeightBytes));
        return new KernelLoad(
            $"{shape.Inputs} → {shape.Outputs}, {shape.Taps}×{shape.Side}×{shape.Side}", 2.0 * shape.WeightBytes, KernelLoad.Bytes,
            () => new CausalConvolution(data.Device).Pack(shape, plain.Pointer, packed.Pointer));
    }

    private static CudaBuffer Random(KernelData data, ConvolutionShape shape) =>
        data.Make($"weights {shape}", () => BenchNoise.BFloat16(data.Device, shape.WeightBytes / 2));

    private static int Width(int height) => height * 16 / 9;
}
