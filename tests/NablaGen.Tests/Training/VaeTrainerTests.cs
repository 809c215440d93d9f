using static TorchSharp.torch;

namespace NablaGen.Tests.Training;

// Alone: these collect garbage, and TorchSharp's numbers (Scalar) may be freed under the hands of a test beside.
[Collection(nameof(AloneCollection))]
public class VaeTrainerTests
{
    [Fact]
    public void The_loss_falls_and_the_files_make_a_vae()
    {
        using var scope = NewDisposeScope();
        using var folder = new TempFolder();
        using var trainer = Toys.Vae(new SlidingSquares(), steps: 60);
        var losses = Toys.Advance(trainer, 60);
        Assert.InRange(losses[50..].Average(), 0, 0.7 * losses[..5].Average());

        var psnr = double.Parse(trainer.Export(folder.Path).Split(' ')[1]);
        Assert.InRange(psnr, 10, 60);
        var sizes = NablaGen.Training.Models.ModelSizes.Open(folder.Path);
        using var vae = NablaGen.Training.Models.ModelFiles.LoadVae(folder.Path, sizes.Others.Vae, NablaGen.Models.ModuleOptions.Cpu);
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
}
