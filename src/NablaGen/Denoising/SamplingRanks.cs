using System.Runtime.InteropServices;
using NablaGen.Attention;
using NablaGen.Distributed;
using NablaGen.Models;
using static TorchSharp.torch;

namespace NablaGen.Denoising;

/// <summary>
/// How one run is split over ranks. With guidance and an even number of them, one half makes the passes with the prompt and the other half those
/// without, and each rank swaps velocities with its partner in the other half. Within a half, or among all, tokens and heads are split
/// (<see cref="UlyssesAttention"/>).
/// </summary>
public sealed class SamplingRanks
{
    private readonly ICommunicator _world;
    private readonly HeadDeals[] _deals;
    private readonly bool _keepsMasks;

    /// <summary>The split of a run.</summary>
    /// <param name="world">The ranks; stay the caller's.</param>
    /// <param name="settings">The run.</param>
    /// <param name="isGuided">Whether there is a negative prompt.</param>
    /// <param name="model">The transformer.</param>
    /// <param name="given">How it is split; null for <see cref="RankSplit.Of"/>.</param>
    /// <exception cref="NablaGenException">The model cannot be split over so many.</exception>
    public SamplingRanks(ICommunicator world, SamplingSettings settings, bool isGuided, TransformerTraits model, RankSplit? given = null)
    {
        _world = world;
        var split = given ?? RankSplit.Of(world.Size, settings.Guidance, settings.GuidanceHigh, isGuided);
        split.Check(model.Heads, model.LowRank);
        (HasPairs, GroupSize) = (split.Guidance == 2, split.Heads);
        _deals = [.. Enumerable.Range(0, split.Guidance).Select(_ => new HeadDeals(model.Heads, GroupSize))];
        // A mask that is kept from step to step lies with the rank that made it.
        _keepsMasks = settings.MaskEvery > 1 || settings.MaskFromStep is not null;
        HasPrompt = world.Rank < GroupSize;
    }

    /// <summary>Whether the passes with and without the prompt are made by different ranks.</summary>
    public bool HasPairs { get; }

    /// <summary>Whether this rank makes the passes with the prompt.</summary>
    public bool HasPrompt { get; }

    /// <summary>Ranks that make a pass together.</summary>
    public int GroupSize { get; }

    private int Self => _world.Rank % GroupSize;

    /// <summary>Who has which heads in the ranks that make a pass: 0 with the prompt, 1 those without, where they are others.</summary>
    public HeadDeals Heads(int pass) => _deals[pass];

    /// <summary>Deals the heads of a pass anew by what they kept in the step that is done; where masks are kept, they stay as they are.</summary>
    /// <param name="pass">As for <see cref="Heads"/>.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="densities">Each head's. [heads]</param>
    public void Deal(int pass, int layer, IReadOnlyList<double> densities)
    {
        if (GroupSize > 1 && !_keepsMasks)
        {
            _deals[pass].Deal(layer, densities);
        }
    }

    /// <summary>The attention of all heads, of which this rank computes its own.</summary>
    /// <param name="heads">The attention of this rank's heads; the result's from now on.</param>
    public IAttention Over(IAttention heads) => GroupSize == 1
        ? heads
        : new UlyssesAttention(_world, [.. Enumerable.Range(_world.Rank - Self, GroupSize)], _deals[_world.Rank / GroupSize], heads);

    /// <summary>The velocities with and without the prompt.</summary>
    /// <param name="own">This rank's.</param>
    public (Tensor Prompt, Tensor Without) Swap(Tensor own)
    {
        using var scope = NewDisposeScope();
        var partner = HasPrompt ? _world.Rank + GroupSize : _world.Rank - GroupSize;
        var other = empty(own.shape, own.dtype, own.device);
        _world.Exchange([new Transfer(partner, own)], [new Transfer(partner, other)]);
        other.MoveToOuterDisposeScope();
        return HasPrompt ? (own, other) : (other, own);
    }

    /// <summary>Waits for all, where one may have to read a model first.</summary>
    public void Wait() => _world.Barrier(isPatient: true);

    /// <summary>Rank 0's estimate, for all.</summary>
    /// <param name="estimate">This rank's.</param>
    public double? Agree(double? estimate)
    {
        var agreed = BitConverter.ToDouble(_world.Share(BitConverter.GetBytes(estimate ?? double.NaN))[0]);
        return double.IsNaN(agreed) ? null : agreed;
    }

    /// <summary>Makes a curve of this rank's heads that of all.</summary>
    public void Merge(DensityCurve curve)
    {
        var all = _world.Share(MemoryMarshal.AsBytes<long>(curve.Counts.ToArray()));
        foreach (var other in all.Where((_, rank) => rank != _world.Rank))
        {
            curve.Add(MemoryMarshal.Cast<byte, long>(other).ToArray());
        }
    }

    /// <summary>As <see cref="ICommunicator.Share"/>.</summary>
    internal byte[][] Share(ReadOnlySpan<byte> own) => _world.Share(own);
}
