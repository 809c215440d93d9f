using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models.Vae;

/// <summary>How far the CPU's frames are the same whatever the number of threads: docs/numerics.md says it.</summary>
public class VaeThreadTests
{
    [Theory]
    [InlineData(8, 16, 16)]
    [InlineData(16, 10, 8)]
    public void As_many_threads_give_the_same_bits_and_others_nearly_the_same(int dim, int height, int width)
    {
        using var scope = NewDisposeScope();
        using var vae = RandomVae.Create(RandomVae.Config(dim), ModuleOptions.Cpu);
        var latents = RandomVae.Smooth(2, height, width);
        var threads = get_num_threads();
        try
        {
            set_num_threads(2);
            var two = RandomVae.Decode(vae, latents);
            // oneDNN and libtorch share sums out among the threads there are, and for one alone libtorch takes other code.
            foreach (var count in new[] { 1, 3 })
            {
                set_num_threads(count);
                Assert.InRange((RandomVae.Decode(vae, latents) - two).abs().max().item<float>(), 0, 1e-4);
            }

            set_num_threads(2);
            Assert.True(RandomVae.Decode(vae, latents).equal(two).all().item<bool>());
        }
        finally
        {
            set_num_threads(threads);
        }
    }
}
