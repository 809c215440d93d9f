using System.Diagnostics;
using NablaGen.Attention;
using NablaGen.Denoising;
using static TorchSharp.torch;

namespace NablaGen.Jobs.Benchmarks;

/// <summary>Times each step of a sampling run to its end on the device, and looks at the memory then.</summary>
internal sealed class StepRecorder(Device device) : ISamplingObserver, IDisposable
{
    private readonly List<StepTiming> _steps = [];
    private readonly Stopwatch _watch = new();

    public IReadOnlyList<StepTiming> Steps => _steps;

    /// <summary>Steps that were answered from memory.</summary>
    public int Skipped { get; private set; }

    /// <summary>The step whose latents are kept, from 0; null for none.</summary>
    public int? KeptStep { get; init; }

    /// <summary>The latents of that step, on the CPU.</summary>
    public Tensor? Latents { get; private set; }

    public void OnStart()
    {
        _steps.Clear();
        Skipped = 0;
        ModelTimer.Wait(device);
        _watch.Restart();
    }

    public void OnDense(AttentionSite site)
    {
    }

    public void OnSparse(AttentionSite site, IKeptBlocks kept)
    {
    }

    public void OnSkipped(int step, double error) => Skipped++;

    public void OnStep(int step, Tensor latents)
    {
        var enqueued = _watch.Elapsed.TotalMilliseconds;
        ModelTimer.Wait(device);
        var done = _watch.Elapsed.TotalMilliseconds;
        _steps.Add(new StepTiming(done, enqueued, ModelTimer.Memory(device)));
        if (step == KeptStep)
        {
            Latents = latents.detach().clone().cpu().DetachFromDisposeScope();
        }

        _watch.Restart();
    }

    public void Dispose() => Latents?.Dispose();
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
