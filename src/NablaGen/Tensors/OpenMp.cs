namespace NablaGen.Tensors;

/// <summary>How libtorch's CPU threads wait for one another.</summary>
/// <remarks>
/// libgomp's threads spin for milliseconds at the end of each parallel loop, in the hope that the next loop comes soon. Where other
/// programs want the cores, a thread that spins keeps the one it waits for from running: of 1,280 tokens through the small transformer
/// (<c>bench dit --preset tiny --latent 5x32x32 --attention dense</c>, two cores with a load of twelve) the median of medians was 4.5 s
/// and with sleeping threads 0.9 s, at a fifth of the processor time. To sleep and wake costs microseconds a loop.
/// </remarks>
internal static class OpenMp
{
    private const string Variable = "OMP_WAIT_POLICY";

    /// <summary>
    /// Makes threads sleep while they wait, unless the user has set it otherwise. Only before libgomp is loaded, which reads its variables then.
    /// </summary>
    public static void WaitPassively()
    {
        // How long threads spin can be set by another variable as well.
        if (string.IsNullOrEmpty(Environment.GetEnvironmentVariable("GOMP_SPINCOUNT")))
        {
            NativeEnvironment.SetDefault(Variable, "passive");
        }
    }
}
