using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;

namespace NablaGen.Attention.Cuda;

/// <summary>The thresholds of a run's layers and heads on the device, copied there once.</summary>
internal sealed class CudaHeadThresholds(CudaDevice device) : IDisposable
{
    private HeadThresholds? _held;
    private int _heads;
    private CudaBuffer? _dropped;

    /// <summary>Those of one layer.</summary>
    /// <param name="thresholds">All of them.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="heads">The heads of the mask: a batch's follow one another.</param>
    public NablaThreshold Of(HeadThresholds thresholds, int layer, int heads)
    {
        if (!ReferenceEquals(_held, thresholds) || _heads != heads)
        {
            Dispose();
            var dropped = new float[thresholds.Layers * heads];
            for (var i = 0; i < dropped.Length; i++)
            {
                dropped[i] = (float)(1 - thresholds[i / heads, i % heads % thresholds.Heads]);
            }

            _dropped = CudaBuffer.From<float>(device, dropped);
            (_held, _heads) = (thresholds, heads);
        }

        return NablaThreshold.ByHead(_dropped!.Pointer + (nint)sizeof(float) * layer * heads);
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        _dropped?.Dispose();
        (_dropped, _held) = (null, null);
    }
}
