namespace NablaGen.Training.World;

/// <summary>
/// Random numbers that are the same on every machine and .NET version, which <see cref="Random"/> does not promise: SplitMix64
/// (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
/// </summary>
internal sealed class SplitMix64(ulong seed)
{
    private const ulong Golden = 0x9E3779B97F4A7C15;

    private ulong _state = seed;

    /// <summary>A stream of its own for one clip of one seed: neighbours have nothing in common.</summary>
    public static SplitMix64 For(ulong seed, ulong stream, long index) =>
        new(Mix(Mix(Mix(seed + Golden) ^ (stream + Golden)) ^ ((ulong)index + Golden)));

    /// <summary>64 random bits.</summary>
    public ulong NextBits() => Mix(_state += Golden);

    /// <summary>A whole number from 0 to <paramref name="count"/> − 1.</summary>
    public int Next(int count) => (int)Math.BigMul(NextBits(), (ulong)count, out _);

    /// <summary>A number in [0, 1).</summary>
    public double NextDouble() => (NextBits() >> 11) * (1.0 / (1UL << 53));

    /// <summary>A number in [<paramref name="from"/>, <paramref name="to"/>).</summary>
    public double Range(double from, double to) => from + ((to - from) * NextDouble());

    /// <summary>True with that probability.</summary>
    public bool Chance(double probability) => NextDouble() < probability;

    /// <summary>One of the items, each as likely.</summary>
    public T Pick<T>(IReadOnlyList<T> items) => items[Next(items.Count)];

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
