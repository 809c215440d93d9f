using NablaGen.Attention;
using NablaGen.Distributed;

namespace NablaGen.Denoising;

/// <summary>
/// Keeps what the attentions of a step kept on this rank, and tells an observer at the step's end what those of all ranks did, as if one GPU had
/// made the passes one after the other.
/// </summary>
/// <param name="ranks">The ranks.</param>
internal sealed class AttentionRecorder(SamplingRanks ranks) : IAttentionObserver
{
    private readonly List<(AttentionSite Site, Lazy<KeptStatistics>? Kept)> _own = [];

    /// <inheritdoc/>
    public void OnDense(AttentionSite site) => _own.Add((site, null));

    /// <inheritdoc/>
    public void OnSparse(AttentionSite site, IKeptBlocks kept) => _own.Add((site, kept.Statistics));

    /// <summary>Forgets what it knows: a pass that is no part of the run.</summary>
    public void Clear() => _own.Clear();

    /// <summary>Exchanges a step's statistics, tells them, and has heads dealt by them for the next step. To be called on all ranks.</summary>
    /// <param name="observer">Is told; null for nobody on this rank.</param>
    public void Tell(IAttentionObserver? observer)
    {
        var all = ranks.Share(Write()).Select(Read).ToArray();
        _own.Clear();
        foreach (var (pass, group) in all.Chunk(ranks.GroupSize).Index())
        {
            var seen = new List<(int Layer, IReadOnlyList<double> Densities)>();
            for (var i = 0; i < group[0].Count; i++)
            {
                var site = group[0][i].Site;
                var kept = group.Select(rank => rank[i].Kept).OfType<KeptStatistics>().ToArray();
                if (kept.Length == 0)
                {
                    observer?.OnDense(site);
                }
                else
                {
                    var merged = Merge(kept, ranks.Heads(pass)[site.Layer]);
                    seen.Add((site.Layer, merged.HeadDensities));
                    observer?.OnSparse(site, new MergedBlocks(merged));
                }
            }

            foreach (var layer in seen.GroupBy(one => one.Layer, one => one.Densities))
            {
                ranks.Deal(pass, layer.Key, Mean([.. layer.SelectMany(one => one.Chunk(ranks.Heads(pass).Heads))]));
            }
        }
    }

    // A batch's videos follow one another, each with the heads of all ranks in their order.
    private static KeptStatistics Merge(KeptStatistics[] kept, HeadDeal deal)
    {
        var heads = Enumerable.Range(0, deal.Ranks).Sum(deal.Count);
        var densities = new double[kept[0].HeadDensities.Count / deal.Count(0) * heads];
        for (var rank = 0; rank < deal.Ranks; rank++)
        {
            for (var i = 0; i < kept[rank].HeadDensities.Count; i++)
            {
                var (video, own) = Math.DivRem(i, deal.Count(rank));
                densities[(video * heads) + deal.Of(rank)[own]] = kept[rank].HeadDensities[i];
            }
        }

        return new KeptStatistics(densities, kept.Max(one => one.MaskSeconds), kept.Max(one => one.AttentionSeconds));
    }

    // Of several videos and passes, by head.
    private static double[] Mean(double[][] all) => [.. Enumerable.Range(0, all[0].Length).Select(head => all.Average(one => one[head]))];

    private byte[] Write()
    {
        using var memory = new MemoryStream();
        using var writer = new BinaryWriter(memory);
        writer.Write(_own.Count);
        foreach (var (site, kept) in _own)
        {
            var statistics = kept?.Value;
            writer.Write(site.Step);
            writer.Write(site.Layer);
            writer.Write(statistics?.HeadDensities.Count ?? 0);
            writer.Write(statistics?.MaskSeconds ?? 0);
            writer.Write(statistics?.AttentionSeconds ?? 0);
            foreach (var density in statistics?.HeadDensities ?? [])
            {
                writer.Write(density);
            }
        }

        writer.Flush();
        return memory.ToArray();
    }

    private static List<(AttentionSite Site, KeptStatistics? Kept)> Read(byte[] bytes)
    {
        using var reader = new BinaryReader(new MemoryStream(bytes));
        var count = reader.ReadInt32();
        var all = new List<(AttentionSite, KeptStatistics?)>(count);
        for (var i = 0; i < count; i++)
        {
            var site = new AttentionSite(reader.ReadInt32(), reader.ReadInt32());
            var (heads, mask, attention) = (reader.ReadInt32(), reader.ReadDouble(), reader.ReadDouble());
            var densities = Enumerable.Range(0, heads).Select(_ => reader.ReadDouble()).ToArray();
            all.Add((site, heads == 0 ? null : new KeptStatistics(densities, mask, attention)));
        }

        return all;
    }

    /// <summary>What the heads of several ranks kept: its statistics alone, for the masks themselves stay where they are.</summary>
    private sealed class MergedBlocks(KeptStatistics statistics) : IKeptBlocks
    {
        public Lazy<KeptStatistics> Statistics { get; } = new(() => statistics);

        public int[] ReadCounts(int head) => throw new NotSupportedException("the masks of several GPUs are not brought together");

        public uint[] ReadBits(int head) => throw new NotSupportedException("the masks of several GPUs are not brought together");
    }
}
