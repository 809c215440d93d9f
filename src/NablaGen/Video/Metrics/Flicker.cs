namespace NablaGen.Video.Metrics;

/// <summary>
/// Temporal flicker of one video, in luma levels (0 is none, 255 the most): the mean over pixels and inner frames of
/// |Yₜ − (Yₜ₋₁ + Yₜ₊₁) / 2|.
/// </summary>
/// <remarks>
/// The second difference in time, where the usual one (VBench's temporal flickering) takes the first: a steady fade or slow motion scores
/// next to nothing, and what jumps forth and back from frame to frame scores in full, so two videos of different motion can be compared.
/// </remarks>
public sealed class Flicker
{
    private byte[]? _before;
    private byte[]? _last;
    private double _sum;
    private int _frames;

    /// <summary>The value over all frames so far; null below three frames.</summary>
    public double? Value => _frames == 0 ? null : _sum / _frames;

    /// <summary>Adds the next frame.</summary>
    public void Add(YuvFrame frame)
    {
        var luma = frame.Plane(0).ToArray();
        if (_before is not null)
        {
            var sum = 0L;
            for (var i = 0; i < luma.Length; i++)
            {
                sum += Math.Abs(2 * _last![i] - _before[i] - luma[i]);
            }

            _sum += sum / 2.0 / luma.Length;
            _frames++;
        }

        (_before, _last) = (_last, luma);
    }
}
