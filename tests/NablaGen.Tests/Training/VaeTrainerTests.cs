using NablaGen.Tensors;
using NablaGen.Training.Models;
using static TorchSharp.torch;

namespace NablaGen.Tests.Training;

// Alone: these collect garbage, and TorchSharp's numbers (Scalar) may be freed under the hands of a test beside.
[Trait(Lane.Name, Lane.Alone)]
[Collection(nameof(AloneCollection))]
public class VaeTrainerTests(VaeTrainerTests.Trained trained) : IClassFixture<VaeTrainerTests.Trained>
{
    [Fact]
    public void The_loss_falls_and_the_files_make_a_vae()
    {
        using var scope = NewDisposeScope();
        Assert.InRange(trained.Losses[^10..].Average(), 0, 0.7 * trained.Losses[..5].Average());

        Assert.InRange(trained.Psnr, 10, 60);
        var sizes = ModelSizes.Open(trained.Path);
        using var vae = ModelFiles.LoadVae(trained.Path, sizes.Others.Vae, ModuleOptions.Cpu);
        using var noGrad = no_grad();
        using var clips = new SlidingSquares().Next(0, 6, Toys.Clip, CPU);
        var latents = vae.Encode(clips.Frames);
        // Normalised by the statistics in the file.
        Assert.True(latents.mean([0, 2, 3, 4]).abs().max().item<float>() < 0.05);
        Assert.True((latents.std([0, 2, 3, 4]) - 1).abs().max().item<float>() < 0.05);
    }

    [Fact]
    public void A_resumed_training_is_the_uninterrupted_one()
    {
        using var folder = new TempFolder();
        using var whole = Toys.Vae(new SlidingSquares());
        Toys.Advance(whole, 3);
        whole.Save(folder["state.safetensors"]);
        var expected = Toys.Advance(whole, 3);

        using var resumed = Toys.Vae(new SlidingSquares());
        resumed.Resume(folder["state.safetensors"]);
        Assert.Equal(expected, Toys.Advance(resumed, 3));
    }

    [Fact]
    public void A_frozen_encoder_stays_and_the_decoder_learns()
    {
        using var scope = NewDisposeScope();
        using var folder = new TempFolder();
        using (var first = Toys.Vae(new SlidingSquares()))
        {
            Toys.Advance(first, 2);
            first.Export(folder.Path);
        }

        var before = ModelSizes.Open(folder.Path);
        using var noGrad = no_grad();
        using var clips = new SlidingSquares().Next(0, 2, Toys.Clip, CPU);
        var (latents, frames) = Read(before);
        using var later = new TempFolder();
        using (var trainer = Toys.Vae(new SlidingSquares(), sizes: before, from: folder.Path))
        using (enable_grad())
        {
            Assert.All(trainer.Parameters.Items, item => Assert.True(item.Name.StartsWith("decoder.") || item.Name.StartsWith("conv2."), item.Name));
            var losses = Toys.Advance(trainer, 40);
            Assert.InRange(losses[35..].Average(), 0, 0.8 * losses[..5].Average());
            trainer.Export(later.Path);
        }

        // The latents and how they are normalised are those that a transformer may have learnt.
        var after = ModelSizes.Open(later.Path);
        Assert.Equal(before.Others.Vae.LatentsMean, after.Others.Vae.LatentsMean);
        Assert.Equal(before.Others.Vae.LatentsStd, after.Others.Vae.LatentsStd);
        var (latentsAfter, framesAfter) = Read(after, later.Path);
        Assert.True(latents.equal(latentsAfter).all().item<bool>());
        Assert.False(frames.equal(framesAfter).all().item<bool>());

        (Tensor Latents, Tensor Frames) Read(ModelSizes sizes, string? path = null)
        {
            using var vae = ModelFiles.LoadVae(path ?? folder.Path, sizes.Others.Vae, ModuleOptions.Cpu);
            return (vae.Encode(clips.Frames), vae.DecodeWhole(vae.EncodeMoments(clips.Frames).Mean));
        }
    }

    [Fact]
    public void A_step_takes_one_of_the_sizes_and_a_resumed_training_the_same()
    {
        using var folder = new TempFolder();
        NablaGen.Training.World.ClipSize[] sizes = [Toys.Clip, new(9, 16, 32), new(5, 32, 16)];
        using var whole = Toys.Vae(new SlidingSquares(), sizesOfClips: sizes);
        Toys.Advance(whole, 5);
        whole.Save(folder["state.safetensors"]);
        var expected = Toys.Advance(whole, 5);
        using var resumed = Toys.Vae(new SlidingSquares(), sizesOfClips: sizes);
        resumed.Resume(folder["state.safetensors"]);
        Assert.Equal(expected, Toys.Advance(resumed, 5));
    }

    [Fact]
    public void A_wider_vae_begins_as_good_as_the_narrower_one()
    {
        using var scope = NewDisposeScope();
        using var folder = new TempFolder();
        var known = trained.Psnr;
        var narrow = Toys.Sizes();
        var vae = narrow.Others.Vae with { ZDim = 6, DimMult = [1, 2, 3, 4], LatentsMean = new float[6], LatentsStd = [1, 1, 1, 1, 1, 1] };
        var wide = new ModelSizes(narrow.Dit with { InDim = 6, OutDim = 6 }, narrow.Others with { Vae = vae });
        using (var begun = Toys.Vae(new SlidingSquares(), sizes: wide, from: trained.Path, frozen: false))
        {
            Assert.InRange(Psnr(begun.Export(folder.Path)), known - 2, known + 2);
        }

        using var drawn = Toys.Vae(new SlidingSquares(), sizes: wide);
        Assert.InRange(Psnr(drawn.Export(folder.Path)), 0, known - 2);
        // Nothing narrower begins with it.
        Assert.Throws<InvalidRequestException>(() => Toys.Vae(new SlidingSquares(), sizes: narrow with
        {
            Others = narrow.Others with { Vae = narrow.Others.Vae with { DimMult = [1, 2, 2, 1] } },
        }, from: trained.Path));
    }

    // Of what an export says of the frames' quality.
    private static double Psnr(string quality) => double.Parse(quality.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>A VAE after 50 steps, trained once.</summary>
    public sealed class Trained : IDisposable
    {
        private readonly TempFolder _folder = new();

        public Trained()
        {
            using var trainer = Toys.Vae(new SlidingSquares(), steps: 50);
            Losses = Toys.Advance(trainer, 50);
            Psnr = VaeTrainerTests.Psnr(trainer.Export(Path));
        }

        public string Path => _folder.Path;

        public float[] Losses { get; }

        public double Psnr { get; }

        public void Dispose() => _folder.Dispose();
    }
}
