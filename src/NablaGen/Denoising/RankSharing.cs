using NablaGen.Distributed;
using NablaGen.Models.Streaming;
using static TorchSharp.torch;

namespace NablaGen.Denoising;

/// <summary>The ranks that make a pass together hold the layers' weights together, too.</summary>
/// <param name="World">All ranks; stay the caller's.</param>
/// <param name="First">The first rank of those.</param>
/// <param name="Count">How many they are.</param>
public sealed record RankSharing(ICommunicator World, int First, int Count) : ILayerSharing
{
    /// <summary>The ranks that share with a rank.</summary>
    /// <param name="world">All ranks.</param>
    /// <param name="split">How a video is split over them.</param>
    public static RankSharing Of(ICommunicator world, RankSplit split) => new(world, world.Rank / split.Heads * split.Heads, split.Heads);

    /// <inheritdoc/>
    public int Index => World.Rank - First;

    /// <inheritdoc/>
    public void Gather(IReadOnlyList<Tensor> own, IReadOnlyList<IReadOnlyList<Tensor>> whole)
    {
        var (sends, receives) = (new List<Transfer>(), new List<Transfer>());
        foreach (var (part, all) in own.Zip(whole))
        {
            all[Index].copy_(part);
            for (var other = 0; other < Count; other++)
            {
                if (other == Index)
                {
                    continue;
                }

                // A small type's few numbers need not have a part for each.
                if (part.numel() > 0)
                {
                    sends.Add(new Transfer(First + other, part));
                }

                if (all[other].numel() > 0)
                {
                    receives.Add(new Transfer(First + other, all[other]));
                }
            }
        }

        World.Exchange(sends, receives);
    }
}
