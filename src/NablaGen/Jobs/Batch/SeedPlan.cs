using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace NablaGen.Jobs.Batch;

/// <summary>Which seeds a row is made with that has none of its own.</summary>
public sealed record SeedPlan
{
    private const int MostSeeds = 100_000;

    private SeedPlan(IReadOnlyList<long>? seeds, int repeat)
    {
        Seeds = seeds;
        RepeatCount = repeat;
    }

    /// <summary>One video a row.</summary>
    public static SeedPlan Once { get; } = new(null, 1);

    /// <summary>The seeds; null where each row has its own or a derived one.</summary>
    public IReadOnlyList<long>? Seeds { get; }

    /// <summary>Videos of a row where <see cref="Seeds"/> is null.</summary>
    public int RepeatCount { get; }

    /// <summary>Each row that many times: from its own seed upwards, or with as many derived ones.</summary>
    /// <exception cref="InvalidRequestException">The count is below 1 or absurd.</exception>
    public static SeedPlan Repeat(int count) => count is >= 1 and <= MostSeeds
        ? new SeedPlan(null, count)
        : throw new InvalidRequestException($"repeat must be from 1 to {MostSeeds}, found {count}");

    /// <summary>Reads a list of seeds: <c>1-4</c>, <c>1,5,9</c> or both.</summary>
    /// <exception cref="InvalidRequestException">It is not one.</exception>
    public static SeedPlan Parse(string text)
    {
        var seeds = new List<long>();
        foreach (var part in text.Split(','))
        {
            var ends = part.Split('-').Select(end => long.TryParse(end.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var seed) ? seed : -1).ToArray();
            if (ends is not ([>= 0] or [>= 0, >= 0]) || ends[^1] < ends[0])
            {
                throw new InvalidRequestException($"seeds '{text}': expected numbers and ranges such as 1-4 or 1,5,9");
            }

            if (ends[^1] - ends[0] >= MostSeeds - seeds.Count)
            {
                throw new InvalidRequestException($"seeds '{text}': more than {MostSeeds}");
            }

            // Counted, not compared: there is no number above the largest.
            for (var i = 0L; i <= ends[^1] - ends[0]; i++)
            {
                seeds.Add(ends[0] + i);
            }
        }

        return seeds.Distinct().Count() == seeds.Count
            ? new SeedPlan(seeds, seeds.Count)
            : throw new InvalidRequestException($"seeds '{text}': a seed comes twice");
    }

    /// <summary>
    /// The seed of a row that names none: the same on every machine and every run. It depends on the prompt alone, so that rows which
    /// differ in, say, their attention start from the same noise, and adding rows changes no other's.
    /// </summary>
    /// <param name="prompt">The row's prompt.</param>
    /// <param name="copy">0 for the first row that is written like this, 1 for the second…</param>
    /// <returns>31 bits.</returns>
    public static long Derive(string prompt, int copy)
    {
        var hash = SHA256.HashData(Encoding.UTF8.GetBytes($"{prompt}\n{copy}"));
        return BitConverter.ToUInt32(hash) >> 1;
    }
}
