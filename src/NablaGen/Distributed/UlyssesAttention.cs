using NablaGen.Attention;
using static TorchSharp.torch;

namespace NablaGen.Distributed;

/// <summary>
/// Attention of a group of ranks of which each has a part of the tokens outside of it and a part of the heads inside: queries, keys and values
/// go from tokens to heads, each rank attends for its heads to all tokens, and the outputs go back. A head is computed as on one GPU, so what
/// comes out has the same bits.
/// </summary>
/// <remarks>DeepSpeed Ulysses (Jacobs et al., 2023). NABLA's masks are per head, so that each rank selects for its own heads alone.</remarks>
/// <param name="world">The job's ranks; stays the caller's.</param>
/// <param name="group">The ranks of the group, in the order of their parts; this one is among them.</param>
/// <param name="heads">Who has which heads; it may change between two steps.</param>
/// <param name="inner">The attention for this rank's heads; this one's from now on.</param>
public sealed class UlyssesAttention(ICommunicator world, IReadOnlyList<int> group, HeadDeals heads, IAttention inner) : IAttention
{
    private readonly int _self = group.ToList().IndexOf(world.Rank);
    private TokenSplit? _split;

    /// <inheritdoc/>
    public bool TakesBlockMeans => inner.TakesBlockMeans;

    /// <inheritdoc/>
    public ITokenShare Split(BlockLayout whole, bool byFrames)
    {
        _split = new TokenSplit(whole, group.Count, byFrames);
        return new Part(this, _split);
    }

    /// <summary>As of one GPU, with this rank's tokens of all heads.</summary>
    /// <inheritdoc/>
    public Tensor Forward(Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionSite site, BlockMeans? means = null)
    {
        var split = _split is not null && ReferenceEquals(_split.Whole, layout)
            ? _split
            : throw new ArgumentException("these tokens were not split by this attention", nameof(layout));
        using var scope = NewDisposeScope();
        var deal = heads[site.Layer];
        var own = ToHeads([q, k, v], split, deal);
        var y = inner.Forward(
            own[0], own[1], own[2], layout, site with { Heads = deal.Of(_self), Fp8 = null }, means is null ? null : ToHeads(means, q.shape[0], split, deal));
        foreach (var tensor in own)
        {
            tensor.Dispose();
        }

        return ToTokens(y, split, deal).MoveToOuterDisposeScope();
    }

    /// <summary>Never: an attention is an exchange of all ranks, of which one may have room to keep its output and another may not.</summary>
    public bool Repeats => false;

    /// <inheritdoc/>
    public void Dispose() => inner.Dispose();

    // [B, H, own tokens, D] → [B, own heads, L, D], in memory [B, L, own heads, D]: what a rank sends of a video is then one piece of memory.
    private Tensor[] ToHeads(Tensor[] tensors, TokenSplit split, HeadDeal deal)
    {
        using var scope = NewDisposeScope();
        var (sends, receives) = (new List<Transfer>(), new List<Transfer>());
        var wholes = new List<Tensor>();
        foreach (var x in tensors)
        {
            var whole = empty([x.shape[0], split.Whole.Tokens, deal.Count(_self), x.shape[3]], x.dtype, x.device);
            wholes.Add(whole);
            for (var rank = 0; rank < group.Count; rank++)
            {
                for (var video = 0L; video < x.shape[0]; video++)
                {
                    var place = whole.select(0, video).narrow(0, split.Start(rank), split.Count(rank));
                    MoveHeads(rank, x.select(0, video).transpose(0, 1), place, deal, sends, receives);
                }
            }
        }

        world.Exchange(sends, receives);
        return [.. wholes.Select(whole => whole.transpose(1, 2).MoveToOuterDisposeScope())];
    }

    // [B · H, own blocks, D] → [B · own heads, blocks, D]
    private BlockMeans ToHeads(BlockMeans means, long videos, TokenSplit split, HeadDeal deal)
    {
        using var scope = NewDisposeScope();
        var (sends, receives) = (new List<Transfer>(), new List<Transfer>());
        Tensor[] Pieces(Tensor x)
        {
            var all = x.unflatten(0, [videos, heads.Heads]);
            var pieces = split.Parts.Select(part => empty([videos, deal.Count(_self), part.Blocks, x.shape[2]], x.dtype, x.device)).ToArray();
            for (var rank = 0; rank < group.Count; rank++)
            {
                MoveHeads(rank, all, pieces[rank], deal, sends, receives);
            }

            return pieces;
        }

        var (q, k) = (Pieces(means.Q), Pieces(means.K));
        world.Exchange(sends, receives);
        return new BlockMeans(cat(q, 2).flatten(0, 1).MoveToOuterDisposeScope(), cat(k, 2).flatten(0, 1).MoveToOuterDisposeScope());
    }

    // [B, own heads, L, D] → [B, H, own tokens, D], in memory [B, own tokens, H, D], as the next product reads it.
    private Tensor ToTokens(Tensor y, TokenSplit split, HeadDeal deal)
    {
        using var scope = NewDisposeScope();
        var (sends, receives) = (new List<Transfer>(), new List<Transfer>());
        var byTokens = y.transpose(1, 2);
        var (videos, dim) = (y.shape[0], y.shape[3]);
        var pieces = new Tensor[group.Count];
        for (var rank = 0; rank < group.Count; rank++)
        {
            var piece = byTokens.narrow(1, split.Start(rank), split.Count(rank));
            pieces[rank] = rank == _self ? piece : empty([videos, split.Count(_self), deal.Count(rank), dim], y.dtype, y.device);
            if (rank != _self)
            {
                Move(rank, piece, pieces[rank], sends, receives);
            }
        }

        world.Exchange(sends, receives);
        var all = empty([videos, split.Count(_self), heads.Heads, dim], y.dtype, y.device);
        for (var rank = 0; rank < group.Count; rank++)
        {
            var at = 0;
            foreach (var (head, count) in deal.Runs(rank))
            {
                all.narrow(2, head, count).copy_(pieces[rank].narrow(2, at, count));
                at += count;
            }
        }

        return all.transpose(1, 2).MoveToOuterDisposeScope();
    }

    // A rank's heads, one after the other, from all of them: the second axis of both.
    private void MoveHeads(int rank, Tensor from, Tensor place, HeadDeal deal, List<Transfer> sends, List<Transfer> receives)
    {
        var runs = deal.Runs(rank).ToArray();
        if (runs.Length == 1)
        {
            Move(rank, from.narrow(1, runs[0].Head, runs[0].Count), place, sends, receives);
            return;
        }

        long[] shape = [from.shape[0], deal.Count(rank), .. from.shape[2..]];
        var piece = rank == _self ? place : empty(shape, from.dtype, from.device);
        var at = 0;
        foreach (var (head, count) in runs)
        {
            piece.narrow(1, at, count).copy_(from.narrow(1, head, count));
            at += count;
        }

        if (rank != _self)
        {
            Move(rank, piece, place, sends, receives);
        }
    }

    // What is this rank's own stays here.
    private void Move(int rank, Tensor piece, Tensor place, List<Transfer> sends, List<Transfer> receives)
    {
        if (rank == _self)
        {
            place.copy_(piece);
            return;
        }

        sends.Add(new Transfer(group[rank], piece));
        receives.Add(new Transfer(group[rank], place));
    }

    private sealed class Part(UlyssesAttention attention, TokenSplit split) : ITokenShare
    {
        public BlockLayout Layout => split.Parts[attention._self];

        public int Start => split.Start(attention._self);

        // [B, own tokens, C] → [B, L, C]
        public Tensor Gather(Tensor tokens)
        {
            using var scope = NewDisposeScope();
            var (sends, receives) = (new List<Transfer>(), new List<Transfer>());
            var all = empty([tokens.shape[0], split.Whole.Tokens, tokens.shape[2]], tokens.dtype, tokens.device);
            for (var video = 0L; video < tokens.shape[0]; video++)
            {
                var (from, to) = (tokens.select(0, video), all.select(0, video));
                for (var rank = 0; rank < split.Parts.Count; rank++)
                {
                    attention.Move(rank, from, to.narrow(0, split.Start(rank), split.Count(rank)), sends, receives);
                }
            }

            attention.Exchange(sends, receives);
            return all.MoveToOuterDisposeScope();
        }
    }

    private void Exchange(List<Transfer> sends, List<Transfer> receives) => world.Exchange(sends, receives);
}
