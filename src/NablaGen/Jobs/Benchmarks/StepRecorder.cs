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
        _watch.Restart();
    }
}
