using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;

namespace NablaGen.Attention.Cuda;

/// <summary>The thresholds of a run's layers and heads on the device: each layer's are copied there once, and again where it gets other ones.</summary>
internal sealed class CudaHeadThresholds(CudaDevice device) : IDisposable
{
    private readonly Dictionary<int, (HeadThresholds Held, int Heads, CudaBuffer Dropped)> _layers = [];

    /// <summary>Those of one layer.</summary>
    /// <param name="thresholds">All of them.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="heads">The heads of the mask: a batch's follow one another.</param>
    public NablaThreshold Of(HeadThresholds thresholds, int layer, int heads)
    {
        var isThere = _layers.TryGetValue(layer, out var own);
        if (!isThere || own.Heads != heads || !ReferenceEquals(own.Held, thresholds))
        {
            var dropped = Enumerable.Range(0, heads).Select(head => (float)(1 - thresholds[layer, head % thresholds.Heads])).ToArray();
            if (isThere && own.Dropped.Bytes >= sizeof(float) * heads)
            {
                own.Dropped.Write<float>(dropped);
                own = (thresholds, heads, own.Dropped);
            }
            else
            {
                own.Dropped?.Dispose();
                own = (thresholds, heads, CudaBuffer.From<float>(device, dropped));
            }

            _layers[layer] = own;
        }

        return NablaThreshold.ByHead(own.Dropped.Pointer);
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        foreach (var (_, _, dropped) in _layers.Values)
        {
            dropped.Dispose();
        }

        _layers.Clear();
    }
}
