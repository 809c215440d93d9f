using System.Diagnostics;
using NablaGen.Attention;
using NablaGen.Denoising;
using static TorchSharp.torch;

namespace NablaGen.Jobs.Benchmarks;

/// <summary>Times each step of a sampling run to its end on the device, and looks at the memory then.</summary>
internal sealed class StepRecorder(Device device) : ISamplingObserver
{
    private readonly List<StepTiming> _steps = [];
    private readonly Stopwatch _watch = new();

    public IReadOnlyList<StepTiming> Steps => _steps;

    /// <summary>The latents after the last step.</summary>
    public float[] Latents { get; private set; } = [];

    public void OnStart()
    {
        _steps.Clear();
        ModelTimer.Wait(device);
        _watch.Restart();
    }

    public void OnDense(AttentionSite site)
    {
    }

    public void OnSparse(AttentionSite site, IKeptBlocks kept)
    {
    }

    public void OnStep(int step, Tensor latents)
    {
        var enqueued = _watch.Elapsed.TotalMilliseconds;
        ModelTimer.Wait(device);
        var done = _watch.Elapsed.TotalMilliseconds;
        _steps.Add(new StepTiming(done, enqueued, ModelTimer.Memory(device)));
        using var here = latents.cpu();
        Latents = here.data<float>().ToArray();
        _watch.Restart();
    }
}

/// <summary>One solver step of a measured generation: the passes with and without the prompt, and the solver.</summary>
/// <param name="Milliseconds">From the end of the step before to its own end on the device.</param>
/// <param name="EnqueueMilliseconds">Until the CPU had put all of it on the stream. What is left is what the CPU was ahead by.</param>
/// <param name="MemoryBytes">Memory in use on the device after it (all programs'), or the process's own on the CPU.</param>
public sealed record StepTiming(double Milliseconds, double EnqueueMilliseconds, long MemoryBytes)
{
    /// <summary>How far the CPU was ahead of the device at the step's end. Near zero where the device waits for launches; always on the CPU.</summary>
    public double AheadMilliseconds => Milliseconds - EnqueueMilliseconds;
}
