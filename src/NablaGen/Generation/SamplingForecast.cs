using System.Diagnostics;
using NablaGen.Attention;
using NablaGen.Denoising;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Generation;

/// <summary>Estimates from a run's first layer how long sampling takes: an upper bound where later steps are sparser or skipped.</summary>
/// <param name="layers">Layers of the transformer.</param>
/// <param name="passes">Passes through the transformer in the whole run.</param>
/// <param name="device">Where they are made; a GPU is waited for, at three layers only.</param>
/// <param name="found">Is told the estimate, once.</param>
internal sealed class SamplingForecast(int layers, int passes, Device device, Action<TimeSpan> found) : ISamplingObserver
{
    // A shorter first layer is as much warming up (memory's first touch, kernels being compiled) as work: the second one counts then.
    private static readonly TimeSpan Telling = TimeSpan.FromSeconds(1);

    private readonly Stopwatch _watch = new();
    private int _seen;
    private bool _isDone;

    /// <inheritdoc/>
    public void OnDense(AttentionSite site) => Look();

    /// <inheritdoc/>
    public void OnSparse(AttentionSite site, IKeptBlocks kept) => Look();

    /// <inheritdoc/>
    public void OnStep(int step, Tensor latents) => _isDone = true;

    // From one layer's attention to the next one's is a whole layer.
    private void Look()
    {
        if (_isDone)
        {
            return;
        }

        var isCuda = device.type == DeviceType.CUDA;
        if (isCuda)
        {
            cuda.synchronize(device);
        }

        var isTelling = _seen > 0 && ((!isCuda && _watch.Elapsed >= Telling) || _seen == 2 || layers == 2);
        if (isTelling)
        {
            _isDone = true;
            found(_watch.Elapsed * layers * passes);
            return;
        }

        _seen++;
        _watch.Restart();
    }
}
