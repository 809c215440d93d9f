using static TorchSharp.torch;

namespace NablaGen.Training.Models;

/// <summary>Where the channels of a narrower layer are in a wider one.</summary>
internal static class ChannelPlaces
{
    /// <summary>First in each of its parts, which are equally long. int64 [narrow]</summary>
    public static Tensor Of(long narrow, long wide, int parts) =>
        tensor([.. Enumerable.Range(0, (int)narrow).Select(i => i / (narrow / parts) * (wide / parts) + i % (narrow / parts))]);
}
