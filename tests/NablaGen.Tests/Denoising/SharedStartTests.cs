using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Models;
using NablaGen.Models.Wan.Dit;
using static TorchSharp.torch;

namespace NablaGen.Tests.Denoising;

/// <summary>The passes with and without the prompt share what comes before the first cross-attention, on the golden transformer.</summary>
public sealed class SharedStartTests : IDisposable
{
    private readonly TorchSharp.DisposeScope _scope = NewDisposeScope();
    private readonly Golden _golden = Golden.Open("dit");

    [Theory]
    [InlineData("dense", 1)]
    [InlineData("nabla-0.7", 1)]
    [InlineData("nabla-0.7", 2)]
    [InlineData("sta-1-3-3", 1)]
    public void The_bits_are_the_same_and_observers_are_told_of_both_passes(string attention, int maskEvery)
    {
        var (latents, watch) = Sample(attention, maskEvery, keepsPrompt: true);
        var (expected, all) = Sample(attention, maskEvery, keepsPrompt: false);
        Assert.True(latents.eq(expected).all().item<bool>());
        Assert.Equal(all.Sites, watch.Sites);
        Assert.Equal(all.Meter.Mean, watch.Meter.Mean);
    }

    [Fact]
    public void The_second_pass_attends_in_one_layer_less()
    {
        using var noGrad = no_grad();
        using var model = _golden.Dit();
        using var conditioning = new Conditioning(_golden["context"].unsqueeze(0));
        using var other = new Conditioning(_golden["context"].unsqueeze(0).mul(0.5));
        var latents = randn([1, model.Traits.Channels, 1, 8, 8]);
        using var attention = new Counting();
        using var run = model.Begin(latents.shape.AsSpan(1), attention);
        using var first = run.Prepare(conditioning, keep: true);
        using var second = run.Prepare(other, keep: true);
        using var unkept = run.Prepare(other, keep: false);
        TransformerPass Pass(IPreparedConditioning told) => new(run, latents, tensor(new[] { 500L }), told);
        var alone = Pass(second).All();
        Assert.Equal((model.Traits.Layers, 0), attention.Take());
        run.BeginPair(first, second);
        _ = Pass(first).All();
        Assert.Equal((model.Traits.Layers, 0), attention.Take());
        var shared = Pass(second).All();
        Assert.Equal((model.Traits.Layers - 1, 1), attention.Take());
        Assert.True(shared.eq(alone).all().item<bool>());

        // It serves once, for its pair alone, and only where there is memory for it.
        _ = Pass(second).All();
        Assert.Equal((model.Traits.Layers, 0), attention.Take());
        run.BeginPair(first, unkept);
        _ = (Pass(first).All(), Pass(unkept).All());
        Assert.Equal((2 * model.Traits.Layers, 0), attention.Take());
    }

    [Fact]
    public void Passes_that_see_other_pictures_share_nothing()
    {
        WanPrompt Told(Tensor? guide) => new(zeros(1, 2, 4), 1, keep: true) { Guide = guide?.alias().DetachFromDisposeScope() };
        bool Shares(Tensor? a, Tensor? b)
        {
            using var start = new SharedStart();
            using WanPrompt first = Told(a), second = Told(b);
            using var scope = NewDisposeScope();
            start.Begin(first, second);
            start.Offer(first, ones(2), isOverwritten: true);
            return start.Take(second, scope) is not null;
        }

        Assert.True(Shares(null, null));
        Assert.True(Shares(ones(1, 2), ones(1, 2)));
        Assert.False(Shares(ones(1, 2), zeros(1, 2)));
        Assert.False(Shares(ones(1, 2), ones(1, 3)));
        Assert.False(Shares(ones(1, 2), null));
    }

    public void Dispose()
    {
        _golden.Dispose();
        _scope.Dispose();
    }

    private (Tensor Latents, Watch Watch) Sample(string attention, int maskEvery, bool keepsPrompt)
    {
        using var sampler = new LatentSampler(_golden.Dit()) { KeepsPrompt = keepsPrompt };
        var context = _golden["context"].unsqueeze(0);
        using var generator = new Generator();
        generator.manual_seed(9);
        var negative = randn([1, 3, context.shape[2]], generator: generator);
        var request = GoldenSampling.Request(attention, 3) with { Guidance = 5, MaskEvery = maskEvery };
        var watch = new Watch();
        return (sampler.Sample(request, LatentSampler.Noise([sampler.Model.Traits.Channels, 2, 16, 16], 3), context, negative, watch), watch);
    }

    private sealed class Watch : ISamplingObserver
    {
        public List<AttentionSite> Sites { get; } = [];

        public DensityMeter Meter { get; } = new();

        public void OnDense(AttentionSite site)
        {
            Sites.Add(site);
            Meter.OnDense(site);
        }

        public void OnSparse(AttentionSite site, IKeptBlocks kept)
        {
            Sites.Add(site);
            Meter.OnSparse(site, kept);
        }

        public void OnStep(int step, Tensor latents)
        {
        }
    }

    private sealed class Counting : IAttention
    {
        private readonly DenseAttention _dense = new();
        private int _attended;
        private int _repeated;

        public bool Repeats => true;

        public Tensor Forward(Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionSite site, BlockMeans? means = null)
        {
            _attended++;
            return _dense.Forward(q, k, v, layout, site, means);
        }

        public void RepeatFirst(int step) => _repeated++;

        public (int Attended, int Repeated) Take()
        {
            var taken = (_attended, _repeated);
            (_attended, _repeated) = (0, 0);
            return taken;
        }

        public void Dispose() => _dense.Dispose();
    }
}
