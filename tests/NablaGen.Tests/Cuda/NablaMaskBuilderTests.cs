using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;

namespace NablaGen.Tests.Cuda;

public class NablaMaskBuilderTests
{
    [Theory, Trait("gpu", "true")]
    [InlineData(64, 0.7, false)]
    [InlineData(128, 0.7, false)]
    [InlineData(128, 0.4, true)]
    [InlineData(64, 0.9, true)]
    [InlineData(128, 0.0, false)]
    [InlineData(128, 1.0, false)]
    public void Masks_equal_the_sorted_ones_on_full_blocks(int headSize, double threshold, bool window) =>
        Check(
            ElementType.BFloat16, 3, headSize, [.. Enumerable.Repeat(64, 5 * 3 * 4)], threshold,
            window ? new SlidingWindow(1, 1, 0, 3, 4) : null);

    [Theory, Trait("gpu", "true")]
    [InlineData(64, 0.5, ElementType.BFloat16)]
    [InlineData(128, 0.8, ElementType.Float16)]
    public void Masks_equal_the_sorted_ones_on_ragged_blocks(int headSize, double threshold, ElementType type)
    {
        // Frames of 20 × 12 tokens: blocks of 8 × 8, with a last row and a last column of half blocks.
        int[] frame = [64, 32, 64, 32, 32, 16];
        Check(type, 2, headSize, [.. Enumerable.Repeat(frame, 7).SelectMany(sizes => sizes)], threshold, new SlidingWindow(1, 0, 1, 3, 2));
    }

    [Theory, Trait("gpu", "true")]
    [InlineData(1)]
    [InlineData(31)]
    [InlineData(33)]
    [InlineData(129)]
    [InlineData(1050)]
    public void Any_number_of_blocks_will_do(int blocks) =>
        Check(ElementType.BFloat16, 1, 64, [.. Enumerable.Repeat(3, blocks)], 0.6, null);

    [Fact, Trait("gpu", "true")]
    public void Heads_go_in_turns_where_the_workspace_is_small() =>
        Check(ElementType.BFloat16, 7, 64, [.. Enumerable.Repeat(1, 150)], 0.3, null, scoreBytes: 3 * 150 * 152 * 4);

    [Fact, Trait("gpu", "true")]
    public void Equal_blocks_are_kept_together()
    {
        var device = Gpu.Require();
        using var offsets = new BlockOffsets(device, Enumerable.Repeat(64, 40).ToArray());
        using var pooled = CudaBuffer.From<float>(device, new float[40 * 64]);
        using var mask = new DeviceBlockMask(device, 1, 40);
        using var nabla = new NablaMaskBuilder(device);
        nabla.Run(pooled.Pointer, pooled.Pointer, 64, offsets, 0.5, null, mask);
        Assert.Equal(1, mask.Density());
    }

    [Fact, Trait("gpu", "true")]
    public void A_threshold_outside_0_to_1_is_refused()
    {
        var device = Gpu.Require();
        using var mask = new DeviceBlockMask(device, 1, 8);
        Assert.Throws<ArgumentException>(() => new NablaSelect(device).Run(0, 0, 1, 1.5, null, mask));
        Assert.Throws<ArgumentException>(() => new NablaSelect(device).Run(0, 0, 1, double.NaN, null, mask));
        Assert.Throws<ArgumentException>(() => new NablaSelect(device).Run(0, 1, 1, 0.5, null, mask));
    }

    private static void Check(ElementType type, int heads, int headSize, int[] sizes, double threshold, SlidingWindow? window,
        long scoreBytes = 1 << 28)
    {
        var device = Gpu.Require();
        var draw = new Draw(sizes.Length + headSize);
        using var offsets = new BlockOffsets(device, sizes);
        var (tokens, blocks) = (offsets.Tokens, offsets.Blocks);
        double[] q = Blocky(draw, type, heads, headSize, offsets.Offsets), k = Blocky(draw, type, heads, headSize, offsets.Offsets);
        using CudaBuffer bufferQ = CudaBuffer.From<ushort>(device, Element16.Encode(type, q)),
            bufferK = CudaBuffer.From<ushort>(device, Element16.Encode(type, k));
        using var mask = new DeviceBlockMask(device, heads, blocks, withLists: true);
        using var nabla = new NablaMaskBuilder(device, scoreBytes);
        nabla.Run(
            AttentionTensor.HeadsFirst(bufferQ.Pointer, type, 1, heads, tokens, headSize),
            AttentionTensor.HeadsFirst(bufferK.Pointer, type, 1, heads, tokens, headSize), offsets, threshold, window, mask);
        device.Synchronize();

        var scores = ReferenceNabla.Scores(
            ReferenceNabla.Pool(q, heads, headSize, offsets.Offsets), ReferenceNabla.Pool(k, heads, headSize, offsets.Offsets), heads, headSize,
            offsets.Offsets);
        var got = mask.ToHost();
        var lists = mask.ListsToHost();
        var different = 0;
        for (var row = 0; row < heads * blocks; row++)
        {
            var expected = ReferenceNabla.Select(scores.AsSpan(row * blocks, blocks), threshold);
            var kept = new List<ushort>();
            for (var key = 0; key < blocks; key++)
            {
                var wanted = expected[key] || (window?.Keeps(row % blocks, key) ?? false);
                different += wanted != got[row / blocks, row % blocks, key] ? 1 : 0;
                if (got[row / blocks, row % blocks, key])
                {
                    kept.Add((ushort)key);
                }
            }

            Assert.NotEmpty(kept);
            Assert.Equal(kept, lists[row]);
        }

        Assert.True(different <= 0.001 * heads * blocks * blocks, $"{different} of {heads * blocks * blocks} blocks differ.");
    }

    // Each block's tokens share a direction, so that pooled blocks differ and P is far from even.
    private static double[] Blocky(Draw draw, ElementType type, int heads, int headSize, IReadOnlyList<int> offsets)
    {
        var tokens = offsets[^1];
        var x = new double[heads * tokens * headSize];
        for (var head = 0; head < heads; head++)
        {
            for (var block = 0; block + 1 < offsets.Count; block++)
            {
                var direction = draw.Floats(headSize, 0.7);
                for (var i = offsets[block]; i < offsets[block + 1]; i++)
                {
                    for (var d = 0; d < headSize; d++)
                    {
                        x[(head * tokens + i) * headSize + d] = Element16.Round(type, direction[d] + 0.5 * draw.Normal());
                    }
                }
            }
        }

        return x;
    }
}
