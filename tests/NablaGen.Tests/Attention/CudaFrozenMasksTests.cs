using NablaGen.Attention;
using NablaGen.Attention.Cpu;
using NablaGen.Attention.Cuda;
using NablaGen.Denoising;
using NablaGen.Jobs.Statistics;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Tests.Attention;

/// <summary>Masks that serve several steps on CUDA are those of the CPU.</summary>
[Trait("gpu", "true")]
public class CudaFrozenMasksTests
{
    // A block whose mass lies at the threshold may fall to the other side.
    private const double Same = 0.999;
    private const int Steps = 8;

    [Theory]
    [InlineData(3, 16, 16, 128, "nabla-0.4", "BFloat16")]
    [InlineData(3, 13, 20, 64, "nabla-0.6", "Float16")]
    [InlineData(4, 17, 39, 128, "nabla-0.3+top5_sta-3-1-1", "BFloat16")]
    [InlineData(1, 5, 3, 64, "nabla-0.9", "BFloat16")]
    [InlineData(2, 17, 23, 128, "nabla-1", "BFloat16")]
    public void A_survey_is_dense_and_chooses_what_the_cpu_chooses(int time, int height, int width, int dim, string text, string type)
    {
        Assert.SkipUnless(TorchRuntime.HasCuda, "no CUDA device");
        using var scope = NewDisposeScope();
        var (layout, expression) = (BlockLayout.Create(time, height, width), AttentionExpression.Parse(text));
        var (q, k, v) = Draw(2, layout.Tokens, dim, 1, Enum.Parse<ScalarType>(type));
        var expected = new CpuBlockSparseBackend().Survey(q.@float(), k.@float(), v.@float(), layout, expression, out var wanted, 0);
        foreach (var eightBits in new[] { false, true })
        {
            using var backend = new CudaBlockSparseBackend(CUDA, eightBits);
            foreach (var tokensFirst in new[] { false, true })
            {
                var output = backend.Survey(There(q, tokensFirst), There(k, tokensFirst), There(v, tokensFirst), layout, expression, out var kept, 0);
                var error = (output.cpu().@float() - expected).square().mean().sqrt().item<float>() / expected.square().mean().sqrt().item<float>();
                Assert.True(error < 0.01, $"relative error {error}");
                AssertSame(wanted, kept, layout, 2 * 3);
            }
        }
    }

    [Fact]
    public void Each_heads_own_threshold_counts_in_a_survey()
    {
        Assert.SkipUnless(TorchRuntime.HasCuda, "no CUDA device");
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(3, 17, 23);
        var expression = AttentionExpression.Nabla(new HeadThresholds([[0.9, 0.9, 0.9], [0.2, 0.5, 0.8]]), "some");
        var (q, k, v) = Draw(2, layout.Tokens, 64, 2);
        new CpuBlockSparseBackend().Survey(q.@float(), k.@float(), v.@float(), layout, expression, out var wanted, 1);
        using var backend = new CudaBlockSparseBackend(CUDA);
        backend.Survey(q.cuda(), k.cuda(), v.cuda(), layout, expression, out var kept, 1);
        AssertSame(wanted, kept, layout, 6);
    }

    // The same steps on both devices: two passes a step, or one batch of both; a survey or a mask every other step; with a pooled term.
    [Theory]
    [InlineData("nabla-0.3", 2, null, false, false)]
    [InlineData("nabla-0.3", 2, null, true, false)]
    [InlineData("nabla-0.3+tail", 3, null, true, false)]
    [InlineData("nabla-0.4_sta-1-3-3", 1, 2, false, false)]
    [InlineData("nabla-0.4", 1, 2, true, false)]
    [InlineData("nabla-0.4", 2, null, false, true)]
    [InlineData("nabla-0.4", 1, 2, false, true)]
    public void A_runs_masks_and_outputs_are_the_cpus(string text, int every, int? from, bool isBatched, bool eightBits)
    {
        Assert.SkipUnless(TorchRuntime.HasCuda, "no CUDA device");
        using var scope = NewDisposeScope();
        var (layout, expression, batch) = (BlockLayout.Create(3, 17, 23), AttentionExpression.Parse(text), isBatched ? 2 : 1);
        var (there, here) = (new BitRecorder(), new BitRecorder());
        using var cuda = AttentionFactory.Create(expression, CUDA, from ?? 1, observer: there, maskEvery: every, maskFromStep: from, eightBits: eightBits);
        using var cpu = AttentionFactory.Create(expression, CPU, from ?? 1, observer: here, maskEvery: every, maskFromStep: from);
        for (var step = 0; step < 6; step++)
        {
            for (var pass = 0; pass < 2 / batch; pass++)
            {
                for (var layer = 0; layer < 2; layer++)
                {
                    using var inner = NewDisposeScope();
                    var (q, k, v) = Draw(batch, layout.Tokens, 128, (step * 100) + (pass * 10) + layer);
                    var site = new AttentionSite(step, layer);
                    var output = cuda.Forward(q.cuda(), k.cuda(), v.cuda(), layout, site).cpu().@float();
                    var expected = cpu.Forward(q.@float(), k.@float(), v.@float(), layout, site);
                    var error = (output - expected).square().mean().sqrt().item<float>() / expected.square().mean().sqrt().item<float>();
                    Assert.True(error < (eightBits ? 0.06 : 0.015), $"step {step}, pass {pass}, layer {layer}: relative error {error}");
                }
            }
        }

        Assert.Equal(here.Dense, there.Dense);
        Assert.Equal(here.Masks.Select(mask => mask.Site), there.Masks.Select(mask => mask.Site));
        var (same, all) = (0L, 0L);
        foreach (var (mine, theirs) in here.Masks.Zip(there.Masks))
        {
            same += mine.Bits.Zip(theirs.Bits).Sum(pair => 32 - int.PopCount((int)(pair.First ^ pair.Second)));
            all += 32 * mine.Bits.Length;
            // Statistics are of the mask that served.
            Assert.Equal(theirs.Bits.Sum(word => (long)uint.PopCount(word)) / ((double)layout.Blocks * layout.Blocks * 3 * batch), theirs.Statistics.Value.Density, 6);
        }

        Assert.InRange((double)same / all, Same, 1);
        // Of the five steps after the first, and of the one of the survey.
        var choices = from is null ? (5 + every - 1) / every : 1;
        Assert.Equal(choices * 2 * (2 / batch), there.Masks.Select(mask => string.Join(' ', mask.Bits)).Distinct().Count());
    }

    [Theory]
    [InlineData(2, null, 0.4)]
    [InlineData(3, null, null)]
    [InlineData(1, 2, null)]
    public void A_generation_keeps_its_masks_and_its_target(int every, int? from, double? target)
    {
        Assert.SkipUnless(TorchRuntime.HasCuda, "no CUDA device");
        using var scope = NewDisposeScope();
        using var text = Golden.Open("t5");
        using var dit = Golden.Open("dit");
        using var sampler = new LatentSampler(dit.Dit(new ModuleOptions(CUDA, ScalarType.BFloat16)));
        var request = GoldenSampling.Request("nabla-0.5", Steps) with
        {
            Width = 512,
            Height = 384,
            Frames = 9,
            DenseSteps = from ?? 0,
            MaskEvery = every,
            MaskFromStep = from,
            TargetDensity = target,
        };
        var context = text["out"].narrow(1, 0, 16);
        foreach (var batches in new[] { false, true })
        {
            var statistics = new DensityStatistics(sampler.Model.Traits.Layers, sampler.Model.Traits.Heads);
            var latents = sampler.Sample(
                request, LatentSampler.Noise([16, 3, 48, 64], 1), context.narrow(0, 0, 1), context.narrow(0, 1, 1), statistics, batches);
            Assert.True(latents.isfinite().all().item<bool>());
            Assert.Equal(Steps, statistics.Steps.Count);
            for (var step = 1; step < Steps; step++)
            {
                if (from is { } dense ? step > dense : step % every != 0)
                {
                    Assert.Equal(statistics.Steps[step - 1].Density, statistics.Steps[step].Density, 9);
                }
            }

            // A mask is one of its time: others came, or the dense steps before it.
            Assert.True(statistics.Steps.Select(step => step.Density).Distinct().Count() > 1);
            Assert.All(statistics.Steps.Take(from ?? 0), step => Assert.Equal(1, step.Density));
            Assert.InRange(statistics.Mean!.Value, target - 0.03 ?? 0, target + 0.03 ?? 0.999);
        }
    }

    private static void AssertSame(IKeptBlocks expected, IKeptBlocks found, BlockLayout layout, int heads)
    {
        var (same, all) = (0, 0);
        for (var head = 0; head < heads; head++)
        {
            var (wanted, bits, counts) = (expected.ReadBits(head), found.ReadBits(head), found.ReadCounts(head));
            var words = bits.Length / layout.Blocks;
            Assert.All(counts.Index(), row => Assert.Equal(row.Item, Enumerable.Range(row.Index * words, words).Sum(word => int.PopCount((int)bits[word]))));
            same += bits.Zip(wanted).Sum(pair => 32 - int.PopCount((int)(pair.First ^ pair.Second)));
            all += 32 * bits.Length;
        }

        Assert.InRange((double)same / all, Same, 1);
    }

    private static (Tensor Q, Tensor K, Tensor V) Draw(int batch, int tokens, int dim, int seed, ScalarType type = ScalarType.BFloat16)
    {
        using var generator = new Generator((ulong)seed + 1);
        return (One(), One(), One());

        Tensor One() => (randn([batch, 3, tokens, dim], generator: generator)
            + (randn([batch, 3, (tokens + 63) / 64, dim], generator: generator) * 0.6).repeat_interleave(64, 2).narrow(2, 0, tokens)).to_type(type);
    }

    private static Tensor There(Tensor x, bool tokensFirst) => tokensFirst ? x.transpose(1, 2).contiguous().cuda().transpose(1, 2) : x.cuda();

    private sealed class BitRecorder : IAttentionObserver
    {
        public List<(AttentionSite Site, uint[] Bits, Lazy<KeptStatistics> Statistics)> Masks { get; } = [];

        public List<AttentionSite> Dense { get; } = [];

        public void OnDense(AttentionSite site) => Dense.Add(site);

        public void OnSparse(AttentionSite site, IKeptBlocks kept)
        {
            var statistics = kept.Statistics;
            Masks.Add((site, [.. Enumerable.Range(0, statistics.Value.HeadDensities.Count).SelectMany(kept.ReadBits)], statistics));
        }
    }
}
