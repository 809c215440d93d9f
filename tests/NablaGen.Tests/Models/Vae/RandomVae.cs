using NablaGen.Jobs.Benchmarks;
using NablaGen.Models;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models.Vae;

/// <summary>VAEs of random weights and latents for them.</summary>
internal static class RandomVae
{
    /// <summary>Wan's shape, narrower.</summary>
    public static VaeConfig Config(int dim) => VaeConfig.Wan21 with { Dim = dim };

    /// <summary>The same weights for a configuration whatever the device and type.</summary>
    public static WanVae Create(VaeConfig config, ModuleOptions options)
    {
        // No scope here: parameters made in one die with it. And a generator of its own: other tests draw from torch's.
        using var generator = new Generator(1);
        using var source = new WanVae(config, ModuleOptions.Cpu);
        RandomWeights.Fill(source, generator);
        var model = new WanVae(config, options);
        using var noGrad = no_grad();
        foreach (var (to, from) in model.parameters().Zip(source.parameters()))
        {
            to.copy_(from);
        }

        return model;
    }

    /// <summary>Latents as smooth as a video's: coarse noise, interpolated. [1, 16, frames, height, width]</summary>
    public static Tensor Smooth(int frames, int height, int width)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(2);
        var coarse = randn([1, 16, 2, Math.Max(height / 6, 2), Math.Max(width / 6, 2)], generator: generator);
        return nn.functional.interpolate(coarse, [frames, height, width], mode: InterpolationMode.Trilinear, align_corners: true)
            .MoveToOuterDisposeScope();
    }

    /// <summary>The whole video on the CPU. [1, 3, T, H, W]</summary>
    public static Tensor Decode(WanVae model, Tensor latents, VaeTiling? tiling = null)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var frames = new List<Tensor>();
        model.Decode(latents, chunk => frames.Add(chunk.cpu().DetachFromDisposeScope()), tiling);
        var video = cat(frames, 2);
        frames.ForEach(chunk => chunk.Dispose());
        return video.MoveToOuterDisposeScope();
    }
}
