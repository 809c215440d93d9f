using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Generation;
using NablaGen.Jobs.Statistics;
using NablaGen.Models;
using static TorchSharp.torch;

namespace NablaGen.Tests.Denoising;

/// <summary>Step caches on the golden transformer.</summary>
public sealed class StepCacheTests : IDisposable
{
    private const int Steps = 12;

    private readonly TorchSharp.DisposeScope _scope = NewDisposeScope();
    private readonly Golden _golden = Golden.Open("dit");
    private readonly LatentSampler _sampler;

    public StepCacheTests() => _sampler = new LatentSampler(_golden.Dit());

    private TransformerTraits Traits => _sampler.Model.Traits;

    [Fact]
    public void Where_nothing_is_skipped_the_bits_are_the_same()
    {
        var none = Sample(StepCaches.None);
        var (latents, watch) = Watched("easy:1e-12");
        Assert.Empty(watch.Skipped);
        Assert.True(none.eq(latents).all().item<bool>());
    }

    [Theory]
    [InlineData("dense")]
    [InlineData("nabla-0.7")]
    public void All_but_the_first_fifth_and_the_last_can_be_skipped(string attention)
    {
        var (latents, watch) = Watched("easy:1e9", attention);
        Assert.Equal(Enumerable.Range(3, Steps - 4), watch.Skipped.Select(skip => skip.Step));
        Assert.Equal(2 * Traits.Layers * (Steps - watch.Skipped.Count), watch.Attentions);
        Assert.Equal(watch.Skipped.Select(skip => skip.Error).Order(), watch.Skipped.Select(skip => skip.Error));
        Assert.True(Golden.RelativeError(latents, Sample(StepCaches.None, attention)) > 1e-6);
        Assert.True(latents.isfinite().all().item<bool>());
    }

    [Fact]
    public void A_larger_threshold_skips_more_and_costs_more()
    {
        var full = Sample(StepCaches.None);
        var runs = new[] { 0.1, 1e9 }.Select(threshold => Watched($"easy:{threshold}")).ToArray();
        var skipped = runs.Select(run => run.Watch.Skipped.Count).ToArray();
        Assert.Equal(skipped.Order(), skipped);
        var errors = runs.Select(run => Golden.RelativeError(run.Latents, full)).ToArray();
        Assert.Equal(errors.Order(), errors);
    }

    [Theory]
    [InlineData("easy:0.1")]
    [InlineData("easy:1e9")]
    public void Guidance_in_one_batch_skips_the_same_steps_to_the_same_latents(string cache)
    {
        var (apart, first) = Watched(cache);
        var (together, second) = Watched(cache, batch: true);
        Assert.Equal(first.Skipped.Select(skip => skip.Step), second.Skipped.Select(skip => skip.Step));
        Golden.AssertClose(together, apart, 1e-4);
        var (alone, third) = Watched(cache, guidance: 1);
        Assert.True(alone.isfinite().all().item<bool>());
        Assert.Equal(Traits.Layers * (Steps - third.Skipped.Count), third.Attentions);
    }

    [Fact]
    public void A_skipped_step_is_no_step_of_the_density()
    {
        var request = Request("nabla-0.7", "easy:1e9");
        var statistics = new DensityStatistics(Traits.Layers, Traits.Heads);
        var meter = new DensityMeter();
        Sample(request, new SamplingObservers(statistics, new Metered(meter)));
        Assert.Equal(Steps, statistics.Steps.Count);
        Assert.Equal(Steps - 4, statistics.Steps.Count(step => step.IsSkipped));
        Assert.All(statistics.Steps.Where(step => step.IsSkipped), step => Assert.Empty(step.Layers));
        Assert.Equal(meter.Mean!.Value, statistics.Mean!.Value, 9);
        Assert.InRange(statistics.Mean.Value, 0, 0.99);

        using var folder = new TempFolder();
        var recipe = Recipe.Of(request, "m", "h", "cpu", "float32");
        StatisticsFile.Save(folder["a.csv"], statistics.Steps, recipe);
        StatisticsFile.Save(folder["a.json"], statistics.Steps, recipe);
        var rows = File.ReadAllLines(folder["a.csv"]);
        Assert.DoesNotContain(rows, row => row.Contains("NaN"));
        Assert.Equal(1 + Steps * Traits.Layers * Traits.Heads, rows.Length);
        Assert.StartsWith("3,0,0,,,,", rows[1 + 3 * Traits.Layers * Traits.Heads]);
        Assert.Contains("\"skipped\": true", File.ReadAllText(folder["a.json"]));
        Assert.Contains("\"step_cache\": \"easy:1e9\"", File.ReadAllText(folder["a.json"]));
    }

    [Fact]
    public void Density_control_adapts_on_computed_steps_alone()
    {
        var request = Request("nabla-0.7", "easy:1e9") with { TargetDensity = 0.6 };
        var thresholds = new List<double>();
        var watch = new Watch { OnThresholds = thresholds.Add };
        Sample(request, watch);
        Assert.Equal(Steps, thresholds.Count);
        // Nothing was seen in the skipped steps, so nothing changes until the last.
        Assert.All(watch.Skipped.Skip(1), skip => Assert.Equal(thresholds[watch.Skipped[0].Step], thresholds[skip.Step]));
        Assert.NotEqual(thresholds[0], thresholds[1]);
    }

    [Fact]
    public void Magcache_skips_what_its_rule_says()
    {
        // The rule in one loop, for one pass.
        double[] table = [1, .99, .98, .99, .97, .99, .99, .95, .9, .8];
        var (ratio, error, count, expected) = (1.0, 0.0, 0, new List<int>());
        for (var step = 2; step < 10; step++)
        {
            ratio *= table[step];
            error += Math.Abs(1 - ratio);
            if (error < 0.12 && ++count <= 2)
            {
                expected.Add(step);
            }
            else
            {
                (ratio, error, count) = (1, 0, 0);
            }
        }

        var run = new StepCacheRun(Traits, 10);
        using var rule = new MagCacheRule([table], 2, run);
        var skipped = new List<int>();
        for (run.Step = 0; run.Step < 10; run.Step++)
        {
            if (rule.Estimate(default, 0.12) is not null)
            {
                skipped.Add(run.Step);
            }
        }

        Assert.Equal([2, 3, 5, 6, 8], expected);
        Assert.Equal(expected, skipped);
    }

    [Fact]
    public void Teacache_sums_a_polynomial_of_the_modulations_change()
    {
        var run = new StepCacheRun(Traits, 10);
        using var rule = new TeaCacheRule([0, 0, 0, 2, 0.01], run);
        double sum = 0;
        for (run.Step = 0; run.Step < 10; run.Step++)
        {
            // From step to step a tenth more.
            var modulation = ones(1, 6, 4) * MathF.Pow(1.1f, run.Step);
            var error = rule.Estimate(new EmbeddedStep(modulation, modulation, modulation), 0.5);
            if (run.Step is < 5 or 9)
            {
                Assert.Null(error);
                continue;
            }

            // 2 · 0.1 + 0.01 a step.
            sum += 0.21;
            if (sum < 0.5)
            {
                Assert.Equal(sum, error!.Value, 5);
            }
            else
            {
                Assert.Null(error);
                sum = 0;
            }
        }
    }

    [Fact]
    public void A_residual_is_what_the_layers_added()
    {
        using var noGrad = no_grad();
        var latents = randn([1, Traits.Channels, 1, 8, 8]);
        using var attention = new DenseAttention(null);
        using var forward = _sampler.Model.Begin(latents.shape.AsSpan(1), attention);
        using var conditioning = new Conditioning(_golden["context"].unsqueeze(0));
        using var prepared = forward.Prepare(conditioning, keep: true);
        var run = new StepCacheRun(Traits, 10);
        var rule = new Always();
        using var cache = new ResidualCache(1, run, rule);
        var pass = new TransformerPass(forward, latents, tensor(new[] { 500L }), prepared);
        var full = pass.All();
        Assert.True(cache.Velocity(latents, pass).eq(full).all().item<bool>());
        Assert.False(run.IsSkipped);
        run.Step = 1;
        // At the same place the kept residual is the right one.
        Golden.AssertClose(cache.Velocity(latents, pass), full, 1e-5);
        Assert.True(run.IsSkipped);
    }

    [Fact]
    public void What_cannot_work_is_refused()
    {
        string Refused(string cache, int steps) => Assert.Throws<InvalidRequestException>(() => StepCaches.Check(cache, Traits, steps)).Message;
        Assert.Contains("no effect with 8 steps", Refused("easy", 8));
        Assert.Contains("use easy", Refused("tea", 20));
        Assert.Contains("use easy", Refused("mag:0.1", 20));
        Assert.Contains("is not known: use none, easy, tea, mag", Refused("fast", 20));
        Assert.Contains("threshold above 0", Refused("easy:0", 20));
        Assert.Contains("threshold above 0", Refused("easy:NaN", 20));
        Assert.Contains("threshold above 0", Refused("none:1", 20));
        StepCaches.Check("easy:0.1", Traits, 9);
        StepCaches.Check("none", Traits, 1);
        // Wan2.1's own sizes have constants.
        var large = Traits with { Layers = 30, Heads = 12, HeadDim = 128 };
        StepCaches.Check("tea", large, 20);
        StepCaches.Check("mag", large, 20);
        Assert.Equal(0, StepCaches.Memory("none", large, 1000, 2));
        Assert.Equal(2L * 1536 * 4 * 1000 * 2, StepCaches.Memory("mag", large, 1000, 2));
    }

    public void Dispose()
    {
        _sampler.Dispose();
        _golden.Dispose();
        _scope.Dispose();
    }

    private static GenerationRequest Request(string attention, string cache, double guidance = 5) =>
        GoldenSampling.Request(attention, Steps) with { StepCache = cache, Guidance = guidance };

    private Tensor Sample(string cache, string attention = "dense") => Sample(Request(attention, cache), null);

    private (Tensor Latents, Watch Watch) Watched(string cache, string attention = "dense", bool batch = false, double guidance = 5)
    {
        var watch = new Watch();
        return (Sample(Request(attention, cache, guidance), watch, batch), watch);
    }

    private Tensor Sample(GenerationRequest request, ISamplingObserver? observer, bool batch = false)
    {
        var context = _golden["context"].unsqueeze(0);
        using var generator = new Generator();
        generator.manual_seed(9);
        var negative = randn([1, 3, context.shape[2]], generator: generator);
        return _sampler.Sample(request, LatentSampler.Noise([Traits.Channels, 2, 16, 16], 3), context, request.IsGuided ? negative : null, observer, batch);
    }

    private sealed class Always : IResidualRule
    {
        public double? Estimate(EmbeddedStep embedded, double threshold) => 0;

        public void Dispose()
        {
        }
    }

    private sealed class Metered(DensityMeter meter) : ISamplingObserver
    {
        public void OnDense(AttentionSite site) => meter.OnDense(site);

        public void OnSparse(AttentionSite site, IKeptBlocks kept) => meter.OnSparse(site, kept);

        public void OnStep(int step, Tensor latents)
        {
        }
    }

    private sealed class Watch : ISamplingObserver
    {
        public List<(int Step, double Error)> Skipped { get; } = [];

        public int Attentions { get; private set; }

        public Action<double>? OnThresholds { get; init; }

        public void OnDense(AttentionSite site) => Attentions++;

        public void OnSparse(AttentionSite site, IKeptBlocks kept) => Attentions++;

        public void OnThreshold(int step, double threshold) => OnThresholds?.Invoke(threshold);

        public void OnSkipped(int step, double error) => Skipped.Add((step, error));

        public void OnStep(int step, Tensor latents)
        {
        }
    }
}
