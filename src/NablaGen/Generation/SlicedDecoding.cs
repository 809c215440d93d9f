using NablaGen.Distributed;
using NablaGen.Models;
using static TorchSharp.torch;

namespace NablaGen.Generation;

/// <summary>
/// A video that several ranks decode together: each makes some rows of all frames, with as many rows around them as influence them, and rank 0
/// gets whole frames. All ranks call the same methods.
/// </summary>
public sealed class SlicedDecoding
{
    // Rows of latents that are worth a rank: each makes about seven more on either side.
    private const long LeastRows = 4;

    private readonly ICommunicator _world;
    private readonly int _slices;

    private SlicedDecoding(ICommunicator world, int slices, VaeTiling tiling)
    {
        (_world, _slices) = (world, slices);
        Tiling = tiling with { Slice = HasPart ? (world.Rank, slices) : null };
    }

    /// <summary>What this rank decodes.</summary>
    public VaeTiling Tiling { get; }

    /// <summary>Whether this rank decodes anything: there may be too few rows for all.</summary>
    public bool HasPart => _world.Rank < _slices;

    /// <summary>Agrees on how a video is decoded; waits for all ranks.</summary>
    /// <param name="world">The ranks; stay the caller's.</param>
    /// <param name="rows">Rows of the latents.</param>
    /// <param name="tiling">Rank 0's tiling: where its memory takes tiles, or there are few rows, it decodes alone. Of the others it is not read.</param>
    /// <returns>Null where rank 0 decodes alone.</returns>
    /// <exception cref="NablaGenException">A rank has ended or hangs.</exception>
    public static SlicedDecoding? Agree(ICommunicator world, long rows, VaeTiling tiling)
    {
        var isWhole = tiling is { Height: 0, Width: 0 };
        var told = world.Share([.. BitConverter.GetBytes(isWhole), .. BitConverter.GetBytes(tiling.FramesAtOnce)], isPatient: true)[0];
        var slices = (int)Math.Min(world.Size, rows / LeastRows);
        return BitConverter.ToBoolean(told) && slices > 1
            ? new SlicedDecoding(world, slices, new VaeTiling(FramesAtOnce: BitConverter.ToInt32(told, sizeof(bool))))
            : null;
    }

    /// <summary>Brings a latent frame's rows to rank 0. Waits for all ranks, however long the frames before take to be written.</summary>
    /// <param name="part">This rank's, contiguous or not; null where it has none. [1, 3, n, rows, W]</param>
    /// <param name="rows">Rows of the latents.</param>
    /// <returns>The frames on rank 0, a new tensor; null on the others. [1, 3, n, H, W]</returns>
    /// <exception cref="NablaGenException">A rank has ended or hangs.</exception>
    public Tensor? Collect(Tensor? part, long rows)
    {
        using var scope = NewDisposeScope();
        _world.Barrier(isPatient: true);
        if (_world.Rank > 0)
        {
            _world.Exchange(part is null ? [] : [new Transfer(0, part)], []);
            return null;
        }

        var (own, parts) = (part!, new List<Tensor> { part! });
        var stride = own.shape[3] / Count(0, rows);
        for (var rank = 1; rank < _slices; rank++)
        {
            parts.Add(empty([own.shape[0], own.shape[1], own.shape[2], Count(rank, rows) * stride, own.shape[4]], own.dtype, own.device));
        }

        _world.Exchange([], [.. parts.Skip(1).Select((one, i) => new Transfer(i + 1, one))]);
        return cat(parts, 3).MoveToOuterDisposeScope();
    }

    private long Count(int slice, long rows) => ((slice + 1) * rows / _slices) - (slice * rows / _slices);
}
