using NablaGen.Attention;
using NablaGen.Attention.Cpu;
using NablaGen.Attention.Cuda;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Tests.Attention;

[Trait("gpu", "true")]
public class CudaStatisticsTests
{
    [Theory]
    [InlineData("nabla-0.5")]
    [InlineData("nabla-0.3_sta-3-1-1")]
    [InlineData("sta-3-3-1")]
    public void Densities_read_late_equal_the_cpus(string expression)
    {
        Assert.SkipUnless(TorchRuntime.HasCuda, "no CUDA device");
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(4, 17, 23);
        var parsed = AttentionExpression.Parse(expression);
        var cpu = new CpuBlockSparseBackend();
        var (late, expected) = (new List<Lazy<KeptStatistics>>(), new List<BlockMask>());
        using (var backend = new CudaBlockSparseBackend(CUDA))
        {
            // More calls than the log holds; every third is not asked about.
            for (var call = 0; call < 500; call++)
            {
                var draw = call % 2;
                using var inner = NewDisposeScope();
                using var generator = new Generator((ulong)(draw + 1));
                var x = (randn([1, 3, layout.Tokens, 64], generator: generator)
                    + (randn([1, 3, (layout.Tokens + 63) / 64, 64], generator: generator) * 0.6).repeat_interleave(64, 2).narrow(2, 0, layout.Tokens))
                    .to_type(ScalarType.BFloat16);
                var onDevice = x.to(CUDA);
                backend.Forward(onDevice, onDevice, onDevice, layout, parsed, out var kept);
                if (call % 3 == 0)
                {
                    continue;
                }

                late.Add(kept.Statistics);
                Assert.Same(late[^1], kept.Statistics);
                if (expected.Count < 2)
                {
                    cpu.Forward(x, x, x, layout, parsed, out var reference);
                    expected.Add((BlockMask)reference);
                }
            }
        }

        // Calls 1, 2, 4, 5, 7, 8, …: draws 1, 0, 0, 1, 1, 0, …
        var draws = Enumerable.Range(0, 500).Where(call => call % 3 != 0).Select(call => call % 2).ToArray();
        for (var i = 0; i < late.Count; i++)
        {
            var mask = expected[draws[i] == 1 ? 0 : 1];
            for (var head = 0; head < 3; head++)
            {
                Assert.Equal(mask.HeadDensity(head), late[i].Value.HeadDensities[head], 3);
            }

            Assert.InRange(late[i].Value.AttentionSeconds, 1e-7, 10);
        }
    }

    [Theory]
    [InlineData("nabla-0.5")]
    [InlineData("nabla-0.3_sta-3-1-1")]
    [InlineData("sta-3-3-1")]
    public void Bits_and_counts_of_a_head_equal_the_cpus(string expression)
    {
        Assert.SkipUnless(TorchRuntime.HasCuda, "no CUDA device");
        using var scope = NewDisposeScope();
        using var generator = new Generator(5);
        var (layout, parsed) = (BlockLayout.Create(3, 17, 23), AttentionExpression.Parse(expression));
        var x = randn([1, 3, layout.Tokens, 64], generator: generator).to_type(ScalarType.BFloat16);
        using var cpu = new CpuBlockSparseBackend();
        using var backend = new CudaBlockSparseBackend(CUDA);
        cpu.Forward(x, x, x, layout, parsed, out var expected);
        var onDevice = x.to(CUDA);
        backend.Forward(onDevice, onDevice, onDevice, layout, parsed, out var kept);
        var (same, all) = (0, 0);
        for (var head = 0; head < 3; head++)
        {
            var (bits, wanted, counts) = (kept.ReadBits(head), expected.ReadBits(head), kept.ReadCounts(head));
            var words = bits.Length / layout.Blocks;
            Assert.Equal(wanted.Length, bits.Length);
            Assert.All(counts.Index(), row => Assert.Equal(row.Item, Enumerable.Range(row.Index * words, words).Sum(word => int.PopCount((int)bits[word]))));
            same += bits.Zip(wanted).Sum(pair => 32 - int.PopCount((int)(pair.First ^ pair.Second)));
            all += 32 * bits.Length;
        }

        // A block at the threshold may fall on either side.
        Assert.InRange((double)same / all, parsed.UsesNabla ? 0.995 : 1, 1);
    }
}
