using static TorchSharp.torch;

namespace NablaGen.Training.World;

/// <summary>Clips and their captions. Owns the frames.</summary>
/// <param name="Frames">[B, 3, T, H, W] float32; red, green, blue in [−1, 1].</param>
/// <param name="Captions">B captions, the clips' order.</param>
public sealed record ClipBatch(Tensor Frames, IReadOnlyList<string> Captions) : IDisposable
{
    /// <summary>Frees the frames.</summary>
    public void Dispose() => Frames.Dispose();
}
