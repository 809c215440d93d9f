using NablaGen.Cuda.Attention;

namespace NablaGen.Tests.Cuda;

/// <summary>Random numbers, the same on every run.</summary>
internal sealed class Draw(int seed)
{
    private readonly Random _random = new(seed);

    public double Normal()
    {
        var radius = Math.Sqrt(-2 * Math.Log(1 - _random.NextDouble()));
        return radius * Math.Cos(2 * Math.PI * _random.NextDouble());
    }

    /// <summary>Normal numbers, rounded to the type.</summary>
    public double[] Normals(int count, ElementType type, double scale = 1) =>
        [.. Enumerable.Range(0, count).Select(_ => Element16.Round(type, Normal() * scale))];

    public float[] Floats(int count, double scale = 1, double mean = 0) =>
        [.. Enumerable.Range(0, count).Select(_ => (float)(mean + Normal() * scale))];

    public bool Chance(double probability) => _random.NextDouble() < probability;

    public int Between(int least, int most) => _random.Next(least, most + 1);
}
