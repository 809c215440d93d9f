using NablaGen.Cuda.Device;

namespace NablaGen.Tests.Cuda;

public class PinnedMemoryTests
{
    [Fact]
    public void A_refusal_names_the_hosts_memory_and_is_not_the_devices()
    {
        var refusal = PinnedMemory.Refusal(512L << 20);
        Assert.Contains("the host's memory, not the GPU's, ran short: 512 MiB", refusal.Message);
        Assert.False(refusal.IsOutOfMemory);
    }
}
