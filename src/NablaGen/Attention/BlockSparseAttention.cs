using static TorchSharp.torch;

namespace NablaGen.Attention;

/// <summary>NABLA, STA, their union or RoLa's sparse part: finds the blocks to keep, then attends over those only.</summary>
/// <param name="expression">What to keep.</param>
/// <param name="backend">What computes it.</param>
/// <param name="observer">Is told what was kept.</param>
/// <param name="thresholds">NABLA's threshold by step, instead of the expression's.</param>
/// <param name="curve">Gets the queries and keys while it is open.</param>
/// <param name="frozen">Keeps masks from step to step; null to make one in each.</param>
public sealed class BlockSparseAttention(
    AttentionExpression expression, IBlockSparseBackend backend, IAttentionObserver? observer = null, Func<int, double>? thresholds = null, DensityCurve? curve = null,
    FrozenMasks? frozen = null)
    : IAttention
{
    private readonly Dictionary<int, (IReadOnlyList<int> Heads, AttentionExpression Own)> _owns = [];
    // What the first layer kept last; null for everything.
    private Lazy<KeptStatistics>? _first;

    /// <inheritdoc/>
    public bool TakesBlockMeans => backend.TakesBlockMeans && (expression.UsesNabla || expression.RolaShare is not null);

    /// <inheritdoc/>
    public Tensor Forward(Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionSite site, BlockMeans? means = null)
    {
        var own = Own(site);
        own.HeadThresholds?.CheckLayer(own, site.Layer, (int)q.shape[1]);
        if (curve is { IsOpen: true })
        {
            curve.Add(q, k, layout, means);
        }

        var now = thresholds is null ? own : own with { Threshold = thresholds(site.Step) };
        // The pass that shows the curve is no pass of the step.
        var output = frozen is null || curve is { IsOpen: true }
            ? backend.Forward(q, k, v, layout, now, out var kept, site.Layer, means, site.Fp8)
            : frozen.Forward(backend, q, k, v, layout, now, site, means, out kept);
        site = site with { Fp8 = null };
        if (observer is not null && site.Layer == 0)
        {
            _first = kept?.Statistics;
        }

        if (kept is null)
        {
            observer?.OnDense(site);
        }
        else
        {
            observer?.OnSparse(site, kept);
        }

        return output;
    }

    /// <inheritdoc/>
    public bool Repeats => true;

    /// <inheritdoc/>
    public void RepeatFirst(int step)
    {
        var site = new AttentionSite(step, 0);
        if (_first is null)
        {
            observer?.OnDense(site);
        }
        else
        {
            observer?.OnSparse(site, new RepeatedBlocks(_first));
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        frozen?.Dispose();
        backend.Dispose();
    }

    // What the site's heads keep, where they are some of all; made anew where a layer gets other heads.
    private AttentionExpression Own(AttentionSite site)
    {
        if (expression.HeadThresholds is not { } all || site.Heads is not { } heads)
        {
            return expression;
        }

        if (!_owns.TryGetValue(site.Layer, out var known) || !ReferenceEquals(known.Heads, heads))
        {
            _owns[site.Layer] = known = (heads, expression with { HeadThresholds = all.Of(heads) });
        }

        return known.Own;
    }

    // The same blocks in no time; the mask itself is another attention's by now.
    private sealed class RepeatedBlocks(Lazy<KeptStatistics> first) : IKeptBlocks
    {
        public Lazy<KeptStatistics> Statistics { get; } = new(() => first.Value with { MaskSeconds = 0, AttentionSeconds = 0 });

        public int[] ReadCounts(int head) => throw new NotSupportedException("the mask of a repeated attention was that of the pass before");

        public uint[] ReadBits(int head) => throw new NotSupportedException("the mask of a repeated attention was that of the pass before");
    }
}
