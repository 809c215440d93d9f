using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Attention;

/// <summary>
/// The mean density that NABLA would have at each threshold, read from the queries and keys of a pass: whoever wants a density knows its
/// threshold before anything is left out. It selects as the kernels do, by the same means over blocks.
/// </summary>
/// <param name="expression">What is kept beside the threshold's blocks: a window, a floor.</param>
public sealed class DensityCurve(AttentionExpression expression)
{
    // In log-odds of the threshold.
    private const double Lowest = -5;
    private const double Highest = 12;
    private const double Step = 0.5;

    // Heads at a time: the maps of a long video take 4 MiB a head.
    private const int Heads = 8;

    // More than any sum of shares.
    private const double Always = 2;

    private static readonly double[] Grid = [.. Enumerable.Range(0, (int)((Highest - Lowest) / Step) + 1).Select(i => Lowest + (i * Step))];

    private readonly long[] _kept = new long[Grid.Length];
    private long _pairs;

    /// <summary>Whether attentions are to be added: those of a pass that is made for this.</summary>
    public bool IsOpen { get; set; }

    /// <summary>Whether there is anything in it.</summary>
    public bool HasSome => _pairs > 0;

    /// <summary>Adds one attention.</summary>
    /// <param name="q">Queries. [B, H, L, D]</param>
    /// <param name="k">Keys. [B, H, L, D]</param>
    /// <param name="layout">The blocks of the L tokens.</param>
    /// <param name="means">Means over blocks, where there are some.</param>
    public void Add(Tensor q, Tensor k, BlockLayout layout, BlockMeans? means)
    {
        using var scope = NewDisposeScope();
        var heads = q.shape[0] * q.shape[1];
        var (lengths, ends) = Blocks(layout, q.device);
        var small = lengths.Over(BlockLayout.BlockSize).log();
        var kept = Fixed(layout, q.device);
        var bars = Grid.Select(x => tensor((float)(1 - AtLogOdds(x)), device: q.device)).ToArray();
        var always = Math.Min(expression.Top ?? 1, layout.Blocks);
        for (var head = 0L; head < heads; head += Heads)
        {
            using var inner = NewDisposeScope();
            var count = Math.Min(Heads, heads - head);
            var queries = means?.Q.narrow(0, head, count) ?? Means(q.flatten(0, 1).narrow(0, head, count), lengths, ends);
            var keys = means?.K.narrow(0, head, count) ?? Means(k.flatten(0, 1).narrow(0, head, count), lengths, ends);
            var logits = queries.matmul(keys.transpose(1, 2)).Times(1 / Math.Sqrt(q.shape[3])).Plus(small);
            var (sorted, order) = logits.softmax(-1).sort(-1);
            var sums = sorted.cumsum(-1);
            // The largest blocks of a row are kept whatever they carry.
            sums.narrow(-1, layout.Blocks - always, always).Fill_(Always);
            var at = kept is null ? sums : sums.scatter(-1, order, sums).Masked(kept, Always);
            var counts = new List<Tensor>();
            foreach (var bar in bars)
            {
                using var isKept = at.ge(bar);
                counts.Add(isKept.sum());
            }

            var read = stack(counts).cpu().data<long>().ToArray();
            for (var i = 0; i < Grid.Length; i++)
            {
                _kept[i] += read[i];
            }
        }

        _pairs += heads * layout.Blocks * layout.Blocks;
    }

    /// <summary>What is in it, for <see cref="Add(IReadOnlyList{long})"/>: a curve of some heads and that of the others are the curve of all.</summary>
    public IReadOnlyList<long> Counts => [_pairs, .. _kept];

    /// <summary>Adds what is in another curve of the same expression.</summary>
    /// <param name="counts">The other's <see cref="Counts"/>.</param>
    public void Add(IReadOnlyList<long> counts)
    {
        _pairs += counts[0];
        for (var i = 0; i < _kept.Length; i++)
        {
            _kept[i] += counts[i + 1];
        }
    }

    /// <summary>The density at a threshold.</summary>
    public double Density(double threshold)
    {
        var at = Math.Clamp((LogOdds(threshold) - Lowest) / Step, 0, Grid.Length - 1);
        var low = Math.Min((int)at, Grid.Length - 2);
        return (_kept[low] + ((_kept[low + 1] - _kept[low]) * (at - low))) / _pairs;
    }

    /// <summary>The lowest threshold on the curve with a density; the ends of the curve for what is beyond them.</summary>
    public double ThresholdOf(double density)
    {
        var wanted = density * _pairs;
        if (wanted <= _kept[0])
        {
            return AtLogOdds(Lowest);
        }

        var high = Array.FindIndex(_kept, kept => kept >= wanted);
        return high < 0 ? 1 : AtLogOdds(Grid[high - 1] + (Step * (wanted - _kept[high - 1]) / (_kept[high] - _kept[high - 1])));
    }

    // Tokens of each block, and the last of them.
    private static (Tensor Lengths, Tensor Ends) Blocks(BlockLayout layout, Device device)
    {
        var lengths = layout.Lengths.ToArray();
        var ends = layout.Starts.ToArray().Zip(lengths, (start, length) => (long)start + length - 1).ToArray();
        return (tensor(lengths.Select(length => (float)length).ToArray(), device: device), tensor(ends, device: device));
    }

    // Sums up to each block's end, less those up to the one before. [h, L, D] → [h, blocks, D]
    private static Tensor Means(Tensor x, Tensor lengths, Tensor ends)
    {
        using var scope = NewDisposeScope();
        var sums = x.to_type(ScalarType.Float64).cumsum(1).index_select(1, ends);
        var blocks = sums.shape[1];
        var own = cat([sums.narrow(1, 0, 1), sums.narrow(1, 1, blocks - 1) - sums.narrow(1, 0, blocks - 1)], 1);
        return (own / lengths.unsqueeze(-1)).to_type(ScalarType.Float32).MoveToOuterDisposeScope();
    }

    // What a window keeps, the same for every head; null for no window. [blocks, blocks]
    private Tensor? Fixed(BlockLayout layout, Device device)
    {
        if (expression.Window is not { } window)
        {
            return null;
        }

        var (starts, keys) = Cpu.StaMask.KeyBlocks(layout, window);
        var kept = new bool[(long)layout.Blocks * layout.Blocks];
        for (var row = 0; row < layout.Blocks; row++)
        {
            foreach (var key in keys.AsSpan(starts[row]..starts[row + 1]))
            {
                kept[((long)row * layout.Blocks) + key] = true;
            }
        }

        return tensor(kept, [layout.Blocks, layout.Blocks]).to(device);
    }

    private static double AtLogOdds(double logOdds) => 1 / (1 + Math.Exp(-logOdds));

    private static double LogOdds(double share) => Math.Log(share / (1 - share));
}
