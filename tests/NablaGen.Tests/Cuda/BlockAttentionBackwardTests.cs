using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;

namespace NablaGen.Tests.Cuda;

public class BlockAttentionBackwardTests
{
    private static readonly AttentionKernel[] Kernels = [AttentionKernel.Ampere, AttentionKernel.Hopper];

    public static TheoryData<AttentionKernel, int, ElementType, double> Densities()
    {
        var cases = new TheoryData<AttentionKernel, int, ElementType, double>();
        foreach (var kernel in Kernels)
        {
            foreach (var headSize in new[] { 64, 128 })
            {
                foreach (var density in new[] { 0.02, 0.1, 0.2, 0.5, 1 })
                {
                    cases.Add(kernel, headSize, ElementType.BFloat16, density);
                }

                cases.Add(kernel, headSize, ElementType.Float16, 0.4);
            }
        }

        return cases;
    }

    [Theory, Trait("gpu", "true"), MemberData(nameof(Densities))]
    public void Every_density_agrees_on_full_blocks(AttentionKernel kernel, int headSize, ElementType type, double density) =>
        Check(kernel, type, batch: 1, heads: 2, headSize, [.. Enumerable.Repeat(64, 17)], density, tokensFirst: false);

    [Theory, Trait("gpu", "true"), MemberData(nameof(Densities))]
    public void Every_density_agrees_on_ragged_blocks_and_tokens_first(AttentionKernel kernel, int headSize, ElementType type, double density)
    {
        var draw = new Draw(7);
        Check(kernel, type, batch: 2, heads: 2, headSize, [.. Enumerable.Range(0, 14).Select(_ => draw.Between(1, 64))], density, tokensFirst: true);
    }

    [Theory, Trait("gpu", "true")]
    [InlineData(AttentionKernel.Ampere)]
    [InlineData(AttentionKernel.Hopper)]
    public void Odd_sizes_agree(AttentionKernel kernel)
    {
        Check(kernel, ElementType.BFloat16, 1, 1, 128, [1], 1, false);
        Check(kernel, ElementType.BFloat16, 1, 1, 128, [64], 1, true);
        Check(kernel, ElementType.BFloat16, 3, 1, 64, [64, 1, 63, 2], 0.5, false);
        Check(kernel, ElementType.BFloat16, 1, 5, 64, [1, 1, 1, 1, 1, 1, 1], 0.7, true);
        Check(kernel, ElementType.BFloat16, 1, 1, 128, [.. Enumerable.Repeat(64, 100)], 0.03, false);
    }

    [Theory, Trait("gpu", "true")]
    [InlineData(AttentionKernel.Ampere)]
    [InlineData(AttentionKernel.Hopper)]
    public void One_mask_serves_all_heads(AttentionKernel kernel) =>
        Check(kernel, ElementType.BFloat16, 2, 3, 64, [64, 64, 64, 30, 64, 9], 0.5, false, shared: true);

    [Theory, Trait("gpu", "true")]
    [InlineData(AttentionKernel.Ampere)]
    [InlineData(AttentionKernel.Hopper)]
    public void Large_logits_agree(AttentionKernel kernel) => Check(kernel, ElementType.BFloat16, 1, 2, 128, [.. Enumerable.Repeat(64, 5), 17], 0.6, true, keyScale: 6);

    [Theory, Trait("gpu", "true")]
    [InlineData(AttentionKernel.Ampere)]
    [InlineData(AttentionKernel.Hopper)]
    public void The_same_inputs_give_the_same_bits(AttentionKernel kernel)
    {
        var device = Gpu.Require(kernel);
        using var backward = new BlockAttentionBackward(device, kernel);
        int[] sizes = [.. Enumerable.Repeat(64, 40), 13];
        var first = Check(kernel, ElementType.BFloat16, 1, 2, 128, sizes, 0.3, true, backward: backward);
        var second = Check(kernel, ElementType.BFloat16, 1, 2, 128, sizes, 0.3, true, backward: backward);
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(first[i], second[i]);
        }
    }

    [Theory, Trait("gpu", "true")]
    [InlineData(1, 1)]
    [InlineData(2, 31)]
    [InlineData(3, 33)]
    [InlineData(2, 300)]
    public void A_mask_is_transposed(int heads, int blocks)
    {
        var device = Gpu.Require();
        var draw = new Draw(blocks);
        using var mask = DeviceBlockMask.FromHost(device, heads, blocks, (_, _, _) => draw.Chance(0.3));
        using var buffer = Gpu.Poisoned(device, mask.AllBits.Bytes);
        using var copy = Gpu.Poisoned(device, mask.AllBits.Bytes);
        var transposed = new MaskTranspose(device).Run(mask.CopyBits(copy.Pointer), buffer.Pointer);
        Assert.Equal(mask.AllBits with { Pointer = buffer.Pointer }, transposed);

        var kept = mask.ToHost();
        var words = buffer.ToArray<uint>((int)(buffer.Bytes / 4));
        for (var i = 0; i < words.Length * 32; i++)
        {
            var (row, query) = (i / 32 / mask.Words, i % (32 * mask.Words));
            var expected = query < blocks && kept[row / blocks, query, row % blocks];
            Assert.Equal(expected, (words[i / 32] >> i % 32 & 1) != 0);
        }
    }

    [Fact, Trait("gpu", "true")]
    public void Wrong_arguments_are_refused()
    {
        var device = Gpu.Require();
        using var backward = new BlockAttentionBackward(device);
        using var offsets = new BlockOffsets(device, [64, 64]);
        var mask = new MaskBits(256, 2, 2);
        var x = AttentionTensor.HeadsFirst(256, ElementType.BFloat16, 1, 2, 128, 64);
        void Refused(AttentionTensor q, AttentionTensor gradientK, MaskBits bits) =>
            Assert.Throws<ArgumentException>(() => backward.Run(q, x, x, x, 256, x, new AttentionGradients(x, gradientK, x), offsets, bits));
        Refused(x with { HeadSize = 96 }, x, mask);
        Refused(x, x with { Pointer = 8 }, mask);
        Refused(x, x with { Type = ElementType.Float16 }, mask);
        Refused(x, x, mask with { Blocks = 3 });
        Refused(x, x, mask with { Heads = 3 });
        Assert.Throws<ArgumentException>(() => new MaskTranspose(device).Run(mask, mask.Pointer));
    }

    // Gives the gradients' bits as the device has them.
    private static ushort[][] Check(
        AttentionKernel kernel, ElementType type, int batch, int heads, int headSize, int[] sizes, double density, bool tokensFirst,
        double keyScale = 1, bool shared = false, BlockAttentionBackward? backward = null)
    {
        var device = Gpu.Require(kernel);
        var draw = new Draw(sizes.Length * 31 + headSize);
        using var offsets = new BlockOffsets(device, sizes);
        var (rows, tokens, blocks) = (batch * heads, offsets.Tokens, offsets.Blocks);
        var count = rows * tokens * headSize;
        double[] q = draw.Normals(count, type), k = draw.Normals(count, type, keyScale), v = draw.Normals(count, type),
            gradient = draw.Normals(count, type);
        var kept = new bool[rows, blocks, blocks];
        for (var i = 0; i < kept.Length; i++)
        {
            var (head, query, key) = (i / blocks / blocks, i / blocks % blocks, i % blocks);
            // An empty row and an empty column among full ones.
            var empty = blocks > 3 && !shared && head == rows - 1 && (query == 1 || key == 2);
            kept[head, query, key] = shared && head > 0 ? kept[0, query, key] : draw.Chance(density) && !empty;
        }

        bool Keeps(int head, int query, int key) => kept[head, query, key];
        var (output, lse) = ReferenceAttention.Run(q, k, v, rows, headSize, offsets.Offsets, Keeps);
        var (rounded, _) = ReferenceAttention.Run(q, k, v, rows, headSize, offsets.Offsets, Keeps, type);
        var exact = ReferenceAttention.Gradients(q, k, v, output, lse, gradient, rows, headSize, offsets.Offsets, Keeps);
        var reference = ReferenceAttention.Gradients(q, k, v, rounded, lse, gradient, rows, headSize, offsets.Offsets, Keeps, type);

        // [batch · heads, tokens, head size] in the host's order to the device's.
        int Place(int i)
        {
            var (row, token, d) = (i / headSize / tokens, i / headSize % tokens, i % headSize);
            return tokensFirst ? ((row / heads * tokens + token) * heads + row % heads) * headSize + d : i;
        }

        CudaBuffer Upload(double[] x)
        {
            var bits = new ushort[count];
            for (var i = 0; i < count; i++)
            {
                bits[Place(i)] = Element16.Encode(type, x[i]);
            }

            return CudaBuffer.From<ushort>(device, bits);
        }

        AttentionTensor Tensor(CudaBuffer buffer) => tokensFirst
            ? AttentionTensor.TokensFirst(buffer.Pointer, type, batch, heads, tokens, headSize)
            : AttentionTensor.HeadsFirst(buffer.Pointer, type, batch, heads, tokens, headSize);

        using CudaBuffer bufferQ = Upload(q), bufferK = Upload(k), bufferV = Upload(v), bufferOutput = Upload(rounded),
            bufferGradient = Upload(gradient), bufferLse = CudaBuffer.From<float>(device, [.. lse.Select(x => (float)x)]),
            gradientQ = Gpu.Poisoned(device, 2L * count), gradientK = Gpu.Poisoned(device, 2L * count),
            gradientV = Gpu.Poisoned(device, 2L * count);
        using var mask = DeviceBlockMask.FromHost(device, shared ? 1 : rows, blocks, Keeps);
        using var own = backward is null ? new BlockAttentionBackward(device, kernel) : null;
        (backward ?? own)!.Run(
            Tensor(bufferQ), Tensor(bufferK), Tensor(bufferV), Tensor(bufferOutput), bufferLse.Pointer, Tensor(bufferGradient),
            new AttentionGradients(Tensor(gradientQ), Tensor(gradientK), Tensor(gradientV)), offsets, mask.AllBits);
        device.Synchronize();

        ushort[][] got = [gradientQ.ToArray<ushort>(count), gradientK.ToArray<ushort>(count), gradientV.ToArray<ushort>(count)];
        void Agrees(ushort[] bits, double[] expected, double[] right) => Gates.ReorderedSum(
            [.. Enumerable.Range(0, count).Select(i => (double)Element16.Decode(type, bits[Place(i)]))], expected, right, floor: 1e-5);
        Agrees(got[0], reference.Q, exact.Q);
        Agrees(got[1], reference.K, exact.K);
        Agrees(got[2], reference.V, exact.V);
        return got;
    }
}
