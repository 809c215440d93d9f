using static TorchSharp.torch;

namespace NablaGen.Jobs.Benchmarks;

/// <summary>
/// Normal noise on the CPU at the speed of a copy: a million numbers are drawn once, and every tensor gets them over and over. Their count is
/// a prime, so the rows of a matrix differ, and each tensor starts elsewhere.
/// </summary>
internal sealed class RepeatedNoise : IDisposable
{
    private const int Count = 1_048_573;

    // Far enough from one tensor's start to the next's; coprime to the count.
    private const int Stride = 404_851;

    private readonly Dictionary<(ScalarType Type, double Deviation), Tensor> _scaled = [];
    private Tensor? _drawn;
    private int _start;

    /// <summary>Fills a tensor.</summary>
    /// <param name="target">Contiguous, on the CPU, of any floating type.</param>
    /// <param name="deviation">The numbers' standard deviation.</param>
    public void CopyTo(Tensor target, double deviation)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var pattern = Pattern(target.dtype, deviation);
        var flat = target.view(-1);
        var from = _start;
        _start = (_start + Stride) % Count;
        for (long at = 0, elements = target.NumberOfElements; at < elements;)
        {
            var many = Math.Min(Count - from, elements - at);
            flat.narrow(0, at, many).copy_(pattern.narrow(0, from, many));
            (at, from) = (at + many, 0);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var pattern in _scaled.Values)
        {
            pattern.Dispose();
        }

        _scaled.Clear();
        _drawn?.Dispose();
        _drawn = null;
    }

    // A model has few widths, so few deviations.
    private Tensor Pattern(ScalarType type, double deviation)
    {
        if (!_scaled.TryGetValue((type, deviation), out var pattern))
        {
            _drawn ??= Draw().DetachFromDisposeScope();
            using var factor = tensor(deviation, ScalarType.Float32);
            pattern = _drawn.mul(factor).to_type(type).DetachFromDisposeScope();
            _scaled.Add((type, deviation), pattern);
        }

        return pattern;
    }

    // The same in every process.
    private static Tensor Draw()
    {
        using var generator = new Generator(1);
        return randn(Count, ScalarType.Float32, CPU, generator: generator);
    }
}
