using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Dit;
using NablaGen.Tensors;
using NablaGen.Training.Dit;
using NablaGen.Training.Models;
using static TorchSharp.torch;

namespace NablaGen.Tests.Training;

/// <summary>Training of a transformer that is told the first frame.</summary>
[Collection(nameof(AloneCollection))]
public class PictureTrainerTests
{
    [Fact]
    public void A_text_models_weights_give_its_velocity_whatever_the_picture()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var folder = new TempFolder();
        var sizes = Toys.Sizes();
        using var text = new WanModel(sizes.Dit, ModuleOptions.Cpu);
        using var generator = new Generator(7);
        foreach (var (_, parameter) in text.named_parameters())
        {
            // In bfloat16 as in the file.
            parameter.copy_(randn(parameter.shape, generator: generator).Times(0.2).to_type(ScalarType.BFloat16));
        }

        ModelFiles.SaveDit(folder.Path, text);
        using var told = new WanModel(sizes.ForTask("i2v").Dit, ModuleOptions.Cpu);
        DitWidening.Read(folder.Path, told);
        var (x, t, context) = (randn([2, 4, 2, 4, 4]), tensor(new[] { 700f, 20f }), randn([2, 7, sizes.Dit.TextDim]));
        using var run = new DitRun(sizes.Dit, 2, 4, 4, new NablaGen.Attention.DenseAttention(), ModuleOptions.Cpu);
        var expected = text.forward(x, t, context, run);
        Golden.AssertClose(told.Velocity(x, t, context, randn([2, 8, 2, 4, 4]), run), expected, 1e-6);

        // Once it is looked at, a picture makes a difference.
        told.named_parameters().Single(pair => pair.name == "patch_embedding.weight").parameter.narrow(1, 4, 8).normal_(generator: generator);
        Assert.True(Golden.RelativeError(told.Velocity(x, t, context, randn([2, 8, 2, 4, 4]), run), expected) > 0.01);
    }

    [Fact]
    public void Training_tells_the_transformer_what_generation_tells_it()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var vae = Toys.RandomVae();
        using var clips = new SlidingSquares().Next(0, 3, Toys.Clip, CPU);
        var sizes = Toys.Sizes().ForTask("i2v");
        var model = WanVideoModel.InMemory(sizes.Dit, sizes.Others with { Vae = vae.Config }, tokenizer: null, (_, _) => throw new InvalidOperationException());
        var guides = FirstFrameGuide.Of(vae, clips.Frames);
        for (var i = 0; i < 3; i++)
        {
            var (name, expected) = model.EncodePictures(vae, clips.Frames[i, .., 0].unsqueeze(0), null, Toys.Clip.Frames);
            Assert.Equal(NablaGen.Models.Conditioning.Guide, name);
            Golden.AssertClose(guides[i], expected[0], 1e-5);
        }
    }

    [Fact]
    public void A_clip_is_told_by_its_first_frame()
    {
        using var scope = NewDisposeScope();
        // No captions: what is right is in the picture alone.
        var world = new SlidingSquares(clips: 2);
        using var trainer = Toys.Dit(world, steps: 120, batch: 16, dropout: 1, task: "i2v");
        var losses = Toys.Advance(trainer, 120);
        using var noGrad = no_grad();
        using var vae = Toys.RandomVae();
        using var clips = world.Next(0, 2, Toys.Clip, CPU);
        var latents = vae.Encode(clips.Frames);
        for (var i = 0; i < 2; i++)
        {
            var sample = trainer.Sample("", seed: 3, clips.Frames[i, .., 0].unsqueeze(0));
            var (own, other) = (Golden.RelativeError(sample, latents[i]), Golden.RelativeError(sample, latents[1 - i]));
            Assert.True(own < 0.4 && own < 0.7 * other, $"{i}: {own:0.000} from its clip, {other:0.000} from the other; loss {losses[..5].Average():0.000} to {losses[110..].Average():0.000}");
        }
    }

    [Fact]
    public void Every_parameter_gets_a_gradient_from_a_text_models_weights_on()
    {
        using var scope = NewDisposeScope();
        using var folder = new TempFolder();
        using (var text = Toys.Dit(new SlidingSquares()))
        {
            Toys.Advance(text, 2);
            text.Export(folder.Path);
        }

        using var trainer = Toys.Dit(new SlidingSquares(), batch: 16, from: folder.Path, task: "i2v");
        Toys.Advance(trainer, 2);
        var gradient = trainer.Parameters.Gradient(trainer.Loss());
        foreach (var (name, shape, start) in trainer.Parameters.Items)
        {
            var own = gradient.narrow(0, start, shape.Aggregate(1L, (product, side) => product * side));
            Assert.True(own.abs().max().item<float>() > 0, name);
        }
    }
}
