namespace NablaGen.Distributed;

/// <summary>A layer's attention heads over ranks: each has some of them.</summary>
public sealed class HeadDeal
{
    private readonly int[][] _byRank;

    private HeadDeal(int[][] byRank) => _byRank = byRank;

    /// <summary>Ranks.</summary>
    public int Ranks => _byRank.Length;

    /// <summary>Each rank has a run of heads, of which some may be longer by one.</summary>
    /// <param name="heads">All heads.</param>
    /// <param name="ranks">Over how many; at most as many as there are heads.</param>
    public static HeadDeal InOrder(int heads, int ranks)
    {
        int Start(int rank) => (int)((long)heads * rank / ranks);
        return new HeadDeal([.. Enumerable.Range(0, ranks).Select(rank => Enumerable.Range(Start(rank), Start(rank + 1) - Start(rank)).ToArray())]);
    }

    /// <summary>Heads by how long they take: the longest first, each to the rank that has least to do.</summary>
    /// <param name="costs">Each head's time, above 0, in any unit.</param>
    /// <param name="ranks">Over how many; at most as many as there are heads.</param>
    public static HeadDeal ByCost(IReadOnlyList<double> costs, int ranks)
    {
        var (dealt, loads) = (Enumerable.Range(0, ranks).Select(_ => new List<int>()).ToArray(), new double[ranks]);
        foreach (var head in Enumerable.Range(0, costs.Count).OrderByDescending(head => costs[head]).ThenBy(head => head))
        {
            var rank = Array.IndexOf(loads, loads.Min());
            dealt[rank].Add(head);
            loads[rank] += costs[head];
        }

        return new HeadDeal([.. dealt.Select(heads => heads.Order().ToArray())]);
    }

    /// <summary>A rank's heads, rising; the same list for the same deal.</summary>
    public IReadOnlyList<int> Of(int rank) => _byRank[rank];

    /// <summary>How many heads a rank has.</summary>
    public int Count(int rank) => _byRank[rank].Length;

    /// <summary>A rank's heads as runs of neighbours.</summary>
    public IEnumerable<(int Head, int Count)> Runs(int rank)
    {
        var heads = _byRank[rank];
        for (var first = 0; first < heads.Length;)
        {
            var next = first + 1;
            while (next < heads.Length && heads[next] == heads[next - 1] + 1)
            {
                next++;
            }

            yield return (heads[first], next - first);
            first = next;
        }
    }

    /// <summary>How long the rank takes that has most to do.</summary>
    /// <param name="costs">Each head's time.</param>
    public double Longest(IReadOnlyList<double> costs) => _byRank.Max(heads => heads.Sum(head => costs[head]));
}
