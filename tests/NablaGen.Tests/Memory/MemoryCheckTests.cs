using NablaGen.Memory;
using static TorchSharp.torch;

namespace NablaGen.Tests.Memory;

public class MemoryCheckTests
{
    private const long Weights = (1L << 20) * 512 + 512;

    [Fact]
    public void A_model_larger_than_the_memory_is_refused_with_advice()
    {
        var error = Assert.Throws<NablaGenException>(() => MemoryCheck.Run([("model.safetensors", Weights)], CPU, ScalarType.Float32, 1536L << 20));
        Assert.Equal("model.safetensors: its weights need 2.0 GiB in float32, and 1.5 GiB of this machine's memory are free; --dtype bfloat16 needs half of that", error.Message);
        MemoryCheck.Run([("model.safetensors", Weights)], CPU, ScalarType.BFloat16, 1536L << 20);
        MemoryCheck.Run([("model.safetensors", Weights)], CPU, ScalarType.Float32, 3L << 30);
    }
}
