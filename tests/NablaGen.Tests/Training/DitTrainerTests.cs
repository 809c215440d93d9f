using NablaGen.Attention;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Dit.Ops;
using NablaGen.Tensors;
using NablaGen.Training.Dit;
using NablaGen.Training.Models;
using NablaGen.Training.World;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tests.Training;

// Alone: these collect garbage, and TorchSharp's numbers (Scalar) may be freed under the hands of a test beside.
[Collection(nameof(AloneCollection))]
public class DitTrainerTests
{
    [Fact]
    public void Passes_for_training_equal_those_for_inference()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var golden = Golden.Open("dit");
        using var model = golden.Dit();
        var (x, context) = (randn([2, model.Config.InDim, 3, 18, 20]), randn([2, 7, model.Config.TextDim]));
        Golden.AssertClose(Forward(new TrainingOps(ScalarType.Float32)), Forward(new TorchDitOps()), 1e-5);

        Tensor Forward(IDitOps ops)
        {
            using var run = new DitRun(model.Config, 3, 18, 20, new DenseAttention(), ModuleOptions.Cpu, ops);
            return model.forward(x, tensor(new[] { 700f, 20f }), context, run);
        }
    }

    [Fact]
    public void Every_parameter_gets_a_gradient()
    {
        using var scope = NewDisposeScope();
        using var trainer = Toys.Dit(new SlidingSquares(), batch: 16);
        // The head starts at zero, and nothing passes through it before the first step.
        Toys.Advance(trainer, 2);
        var gradient = trainer.Parameters.Gradient(trainer.Loss());
        foreach (var (name, shape, start) in trainer.Parameters.Items)
        {
            var own = gradient.narrow(0, start, shape.Aggregate(1L, (product, side) => product * side));
            Assert.True(own.abs().max().item<float>() > 0, name);
        }
    }

    [Fact]
    public void Noise_levels_of_a_batch_are_spread_evenly()
    {
        using var scope = NewDisposeScope();
        manual_seed(3);
        var sigmas = FlowMatching.Sigmas(64, 1, 1, CPU).data<float>().ToArray();
        // One in each 64th of the distribution: half of them on each side of its middle, a quarter below the quarter.
        Assert.Equal(32, sigmas.Count(sigma => sigma < 0.5));
        Assert.Equal(16, sigmas.Count(sigma => sigma < 0.33749));
        Assert.Equal(64, sigmas.Distinct().Count());
        Assert.All(sigmas, sigma => Assert.InRange(sigma, 0.001, 0.999));
        Assert.True(FlowMatching.Sigmas(64, 3, 1, CPU).mean().item<float>() > 0.6);
        // Above 0.9 lies a third of them, as docs/options.md says; the normal number is 0.39 deviations or more up.
        Assert.Equal(22, FlowMatching.Sigmas(64, 5, 1.5, CPU).data<float>().ToArray().Count(sigma => sigma > 0.9));
    }

    [Fact]
    public void Two_clips_are_learnt_by_heart_and_told_apart_by_their_captions()
    {
        using var scope = NewDisposeScope();
        var world = new SlidingSquares(clips: 2);
        using var trainer = Toys.Dit(world, steps: 300, batch: 32, dropout: 0);
        var losses = Toys.Advance(trainer, 300);
        Assert.InRange(losses[280..].Average(), 0, 0.35 * losses[..5].Average());

        using var noGrad = no_grad();
        using var vae = Toys.RandomVae();
        using var clips = world.Next(0, 2, Toys.Clip, CPU);
        var latents = vae.Encode(clips.Frames);
        for (var i = 0; i < 2; i++)
        {
            var sample = trainer.Sample(clips.Captions[i], seed: 3);
            var (own, other) = (Golden.RelativeError(sample, latents[i]), Golden.RelativeError(sample, latents[1 - i]));
            Assert.True(own < 0.4 && own < 0.7 * other, $"{clips.Captions[i]}: {own:0.000} from its clip, {other:0.000} from the other; loss {losses[..5].Average():0.000} to {losses[280..].Average():0.000}");
        }
    }

    [Fact]
    public void It_trains_in_bfloat16_with_float32_master_weights()
    {
        using var trainer = Toys.Dit(new SlidingSquares(), batch: 8, dtype: ScalarType.BFloat16);
        Assert.Equal(ScalarType.Float32, trainer.Parameters.Master.dtype);
        Assert.True(trainer.Parameters.HalfLength > 0);
        var losses = Toys.Advance(trainer, 30);
        Assert.InRange(losses[25..].Average(), 0, 0.9 * losses[..5].Average());
    }

    [Fact]
    public void A_resumed_training_is_the_uninterrupted_one()
    {
        using var folder = new TempFolder();
        using var whole = Toys.Dit(new SlidingSquares());
        Toys.Advance(whole, 5);
        whole.Save(folder["state.safetensors"]);
        var expected = Toys.Advance(whole, 5);

        using var resumed = Toys.Dit(new SlidingSquares());
        resumed.Resume(folder["state.safetensors"]);
        Assert.Equal(5, resumed.Step);
        Assert.Equal(expected, Toys.Advance(resumed, 5));
        Assert.True(whole.Parameters.Master.equal(resumed.Parameters.Master).all().item<bool>());
    }

    [Fact]
    public void Live_tensors_stay_as_many_over_the_steps()
    {
        using var trainer = Toys.Dit(new SlidingSquares());
        Toys.Advance(trainer, 3);
        var before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Toys.Advance(trainer, 4);
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void Of_several_attentions_each_step_takes_one()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var one = Toys.Dit(new SlidingSquares());
        using var other = Toys.Dit(new SlidingSquares(), attentions: "nabla-0.05");
        using var both = Toys.Dit(new SlidingSquares(), attentions: ["dense", "nabla-0.05"]);
        // The head starts at zero, and nothing that attention does passes through it.
        foreach (var trainer in new[] { one, other, both })
        {
            trainer.Parameters.Master.add_(sin(arange(trainer.Parameters.Count, ScalarType.Float32)), alpha: 0.05);
            trainer.Prepare(null, default);
        }

        var (dense, sparse, drawn) = (Loss(one), Loss(other), Loss(both));
        Assert.NotEqual(dense, sparse);
        Assert.Equal(both.AttentionAt(0) == AttentionExpression.Dense ? dense : sparse, drawn);
        Assert.Equal(2, Enumerable.Range(0, 20).Select(both.AttentionAt).Distinct().Count());

        static float Loss(NablaGen.Training.Dit.DitTrainer trainer)
        {
            manual_seed(3);
            using var loss = trainer.Loss();
            return loss.item<float>();
        }
    }

    [Fact]
    public void A_frozen_text_encoder_stays_and_the_transformer_learns()
    {
        using var folder = new TempFolder();
        using var later = new TempFolder();
        using (var first = Toys.Dit(new SlidingSquares()))
        {
            Toys.Advance(first, 2);
            first.Export(folder.Path);
        }

        using var trainer = Toys.Dit(new SlidingSquares(), batch: 16, from: folder.Path);
        Assert.All(trainer.Parameters.Items, item => Assert.StartsWith("dit.", item.Name));
        var losses = Toys.Advance(trainer, 40);
        Assert.InRange(losses[35..].Average(), 0, 0.9 * losses[..5].Average());
        trainer.Export(later.Path);
        Assert.Equal(File.ReadAllBytes(folder["models_t5_umt5-xxl-enc-bf16.safetensors"]), File.ReadAllBytes(later["models_t5_umt5-xxl-enc-bf16.safetensors"]));
        Assert.NotEqual(File.ReadAllBytes(folder["diffusion_pytorch_model.safetensors"]), File.ReadAllBytes(later["diffusion_pytorch_model.safetensors"]));
    }

    [Fact]
    public void Of_several_sizes_each_step_takes_one_with_as_many_tokens()
    {
        var (large, small) = (new ClipSize(5, 32, 64), new ClipSize(5, 32, 32));
        var world = new CountedClips(new SlidingSquares());
        using var trainer = Toys.Dit(world, batch: 4, sizesOfClips: [small, large]);
        Assert.All(Toys.Advance(trainer, 6), loss => Assert.True(double.IsFinite(loss)));
        Assert.Equal([small, large], world.Seen.OrderBy(size => size.Width));
        Assert.Equal(4, trainer.ClipsOf(0));
        Assert.Equal(2, trainer.ClipsOf(1));
    }

    [Fact]
    public void A_model_with_fewer_latent_channels_begins_one_with_more()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var folder = new TempFolder();
        var config = Toys.Sizes().Dit;
        using var narrow = new WanModel(config, ModuleOptions.Cpu);
        using var wide = new WanModel(config with { InDim = config.InDim + 3, OutDim = config.OutDim + 2 }, ModuleOptions.Cpu);
        using var generator = new Generator(1);
        Initialization.Draw(narrow, generator);
        foreach (var (_, parameter) in narrow.named_parameters())
        {
            // What a file in bfloat16 keeps.
            parameter.copy_(parameter.Plus(randn_like(parameter).Times(0.1)).to_type(ScalarType.BFloat16));
        }

        ModelFiles.SaveDit(folder.Path, narrow);
        DitWidening.Read(folder.Path, wide);

        var (x, context) = (randn([1, config.InDim + 3, 2, 4, 4]), randn([1, 5, config.TextDim]));
        var expected = Forward(narrow, x.narrow(1, 0, config.InDim));
        var found = Forward(wide, x);
        Golden.AssertClose(expected, found.narrow(1, 0, config.OutDim), 1e-6);
        Assert.Equal(0, found.narrow(1, config.OutDim, 2).abs().max().item<float>());
        var error = Assert.Throws<InvalidRequestException>(() => DitWidening.Read(folder.Path, new WanModel(config with { FfnDim = 96 }, ModuleOptions.Cpu)));
        Assert.Contains("ffn", error.Message, StringComparison.Ordinal);

        Tensor Forward(WanModel model, Tensor input)
        {
            using var run = new DitRun(model.Config, 2, 4, 4, new DenseAttention(), ModuleOptions.Cpu, new TorchDitOps());
            return model.forward(input, tensor(new[] { 500f }), context, run);
        }
    }

    private sealed class CountedClips(IClipSource source) : IClipSource
    {
        public HashSet<ClipSize> Seen { get; } = [];

        public ClipBatch Next(long first, int count, ClipSize size, Device device)
        {
            Seen.Add(size);
            return source.Next(first, count, size, device);
        }

        public string CaptionAt(long index, int wording) => source.CaptionAt(index, wording);
    }
}
