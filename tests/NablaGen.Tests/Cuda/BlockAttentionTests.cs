using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;

namespace NablaGen.Tests.Cuda;

public class BlockAttentionTests
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
    public void Every_density_agrees_on_ragged_blocks_and_tokens_first(
        AttentionKernel kernel, int headSize, ElementType type, double density)
    {
        var draw = new Draw(7);
        int[] sizes = [.. Enumerable.Range(0, 14).Select(_ => draw.Between(1, 64))];
        Check(kernel, type, batch: 2, heads: 2, headSize, sizes, density, tokensFirst: true);
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
    public void Logits_that_grow_along_the_row_agree(AttentionKernel kernel) =>
        // A later block's logits are larger by far, so that the running maximum must move.
        Check(kernel, ElementType.BFloat16, 1, 2, 128, [.. Enumerable.Repeat(64, 9)], 1, false, keyScale: token => 0.2 + token / 64.0);

    [Theory, Trait("gpu", "true")]
    [InlineData(AttentionKernel.Ampere)]
    [InlineData(AttentionKernel.Hopper)]
    public void Two_calls_on_one_stream_do_not_disturb_each_other(AttentionKernel kernel)
    {
        var device = Gpu.Require(kernel);
        using var attention = new BlockAttention(device, kernel);
        for (var i = 0; i < 3; i++)
        {
            Check(kernel, ElementType.BFloat16, 1, 2, 64, [64, 64, 20, 64, 7], 0.5, i == 1, attention: attention);
        }
    }

    [Theory, Trait("gpu", "true")]
    [InlineData(AttentionKernel.Ampere)]
    [InlineData(AttentionKernel.Hopper)]
    public void One_mask_serves_all_heads(AttentionKernel kernel) =>
        Check(kernel, ElementType.BFloat16, 2, 3, 64, [64, 64, 64, 30, 64, 9], 0.5, false, shared: true);

    [Theory, Trait("gpu", "true")]
    [InlineData(AttentionKernel.Ampere)]
    [InlineData(AttentionKernel.Hopper)]
    public void A_constant_mask_serves_a_second_call(AttentionKernel kernel) =>
        // The Hopper kernel's order of work is made once for such a mask.
        Check(kernel, ElementType.BFloat16, 2, 3, 64, [64, 64, 64, 30, 64, 9], 0.5, false, shared: true, again: true);

    [Fact, Trait("gpu", "true")]
    public void Wrong_arguments_are_refused()
    {
        var device = Gpu.Require();
        using var attention = new BlockAttention(device);
        using var offsets = new BlockOffsets(device, [64, 64]);
        using var mask = new DeviceBlockMask(device, 2, 2);
        var x = AttentionTensor.HeadsFirst(256, ElementType.BFloat16, 1, 2, 128, 64);
        void Refused(AttentionTensor q, AttentionTensor k) =>
            Assert.Throws<ArgumentException>(() => attention.Run(q, k, x, x, offsets, mask));
        Refused(x with { HeadSize = 96 }, x);
        Refused(x with { Tokens = 127 }, x);
        Refused(x with { Pointer = 8 }, x);
        Refused(x with { TokenStride = 60 }, x);
        Refused(x, x with { Type = ElementType.Float16 });
        Refused(x with { Heads = 3 }, x);
        Assert.Throws<ArgumentException>(() => new BlockOffsets(device, [64, 65]));
        Assert.Throws<ArgumentException>(() => new BlockOffsets(device, []));
    }

    private static void Check(
        AttentionKernel kernel, ElementType type, int batch, int heads, int headSize, int[] sizes, double density, bool tokensFirst,
        Func<int, double>? keyScale = null, BlockAttention? attention = null, bool shared = false, bool again = false)
    {
        var device = Gpu.Require(kernel);
        var draw = new Draw(sizes.Length * 31 + headSize);
        using var offsets = new BlockOffsets(device, sizes);
        var (rows, tokens, blocks) = (batch * heads, offsets.Tokens, offsets.Blocks);
        var count = rows * tokens * headSize;
        double[] q = draw.Normals(count, type), k = draw.Normals(count, type), v = draw.Normals(count, type);
        for (var i = 0; keyScale is not null && i < count; i++)
        {
            k[i] = Element16.Round(type, k[i] * keyScale(i / headSize % tokens));
        }

        var kept = new bool[rows, blocks, blocks];
        for (var i = 0; i < kept.Length; i++)
        {
            var (head, query, key) = (i / blocks / blocks, i / blocks % blocks, i % blocks);
            kept[head, query, key] = shared && head > 0 ? kept[0, query, key] : draw.Chance(density);
        }

        if (blocks > 3 && !shared)
        {
            // An empty list among full ones.
            for (var key = 0; key < blocks; key++)
            {
                kept[rows - 1, 1, key] = false;
            }
        }

        bool Keeps(int head, int query, int key) => kept[head, query, key];
        var (exact, exactLse) = ReferenceAttention.Run(q, k, v, rows, headSize, offsets.Offsets, Keeps);
        var (reference, _) = ReferenceAttention.Run(q, k, v, rows, headSize, offsets.Offsets, Keeps, type);

        // [batch · heads, tokens, head size] in the host's order to the device's.
        int Place(int i)
        {
            var (row, token, d) = (i / headSize / tokens, i / headSize % tokens, i % headSize);
            return tokensFirst ? ((row / heads * tokens + token) * heads + row % heads) * headSize + d : i;
        }

        ushort[] Encoded(double[] x)
        {
            var bits = new ushort[count];
            for (var i = 0; i < count; i++)
            {
                bits[Place(i)] = Element16.Encode(type, x[i]);
            }

            return bits;
        }

        using CudaBuffer bufferQ = CudaBuffer.From<ushort>(device, Encoded(q)), bufferK = CudaBuffer.From<ushort>(device, Encoded(k)),
            bufferV = CudaBuffer.From<ushort>(device, Encoded(v)), output = Gpu.Poisoned(device, 2L * count),
            logSumExp = Gpu.Poisoned(device, 4L * rows * tokens);
        using var mask = DeviceBlockMask.FromHost(device, shared ? 1 : rows, blocks, Keeps, withLists: true);
        AttentionTensor Tensor(CudaBuffer buffer) => tokensFirst
            ? AttentionTensor.TokensFirst(buffer.Pointer, type, batch, heads, tokens, headSize)
            : AttentionTensor.HeadsFirst(buffer.Pointer, type, batch, heads, tokens, headSize);

        using var own = attention is null ? new BlockAttention(device, kernel) : null;
        void Attend() => (attention ?? own)!.Run(
            Tensor(bufferQ), Tensor(bufferK), Tensor(bufferV), Tensor(output), offsets, mask, logSumExp: logSumExp.Pointer);
        Attend();
        device.Synchronize();
        if (again)
        {
            output.Write<ushort>(new ushort[count]);
            Attend();
            device.Synchronize();
        }

        var got = output.ToArray<ushort>(count);
        var y = Enumerable.Range(0, count).Select(i => (double)Element16.Decode(type, got[Place(i)])).ToArray();
        Gates.ReorderedSum(y, reference, exact, floor: 1e-6);
        var lse = logSumExp.ToArray<float>(rows * tokens);
        for (var i = 0; i < lse.Length; i++)
        {
            Assert.True(
                double.IsNegativeInfinity(exactLse[i])
                    ? float.IsNegativeInfinity(lse[i])
                    : Math.Abs(lse[i] - exactLse[i]) <= 1e-4 + 1e-5 * Math.Abs(exactLse[i]),
                $"Log-sum-exp {i} is {lse[i]}; exact {exactLse[i]}.");
        }
    }
}
