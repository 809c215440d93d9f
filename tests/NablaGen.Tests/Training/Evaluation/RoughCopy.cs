using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tests.Training.Evaluation;

/// <summary>A clip as a model and a video file leave it: blurred (σ 1.5 pixels), noisy, and coarsely coded in blocks of 8 × 8.</summary>
internal static class RoughCopy
{
    /// <summary>Frames [3, T, H, W], H and W multiples of 8, made worse.</summary>
    public static Tensor Of(Tensor frames, int seed)
    {
        using var scope = NewDisposeScope();
        var across = exp(-arange(-4, 5, ScalarType.Float32).pow(2) / 4.5);
        across = (across / across.sum()).reshape(1, 1, 1, 9).repeat(3, 1, 1, 1);
        var pictures = nn.functional.pad(frames.transpose(0, 1), [4, 4, 4, 4], PaddingModes.Replicate);
        pictures = nn.functional.conv2d(nn.functional.conv2d(pictures, across, groups: 3), across.transpose(2, 3), groups: 3);
        using var random = new Generator((ulong)seed);
        pictures += 0.04f * randn(pictures.shape, generator: random);

        var blocks = pictures.reshape(pictures.shape[0], 3, pictures.shape[2] / 8, 8, pictures.shape[3] / 8, 8).transpose(3, 4);
        var cosines = tensor(
            Enumerable.Range(0, 64).Select(i => (float)(Math.Sqrt((i < 8 ? 1 : 2) / 8.0) * Math.Cos(((2 * (i % 8)) + 1) * (i / 8) * Math.PI / 16))).ToArray(), [8, 8]);
        // Coarser for finer detail: from 8 to 64 of 255.
        var steps = tensor(Enumerable.Range(0, 64).Select(i => (8 + (4f * ((i / 8) + (i % 8)))) / 127.5f).ToArray(), [8, 8]);
        var coded = (cosines.matmul(blocks).matmul(cosines.t()) / steps).round() * steps;
        return cosines.t().matmul(coded).matmul(cosines).transpose(3, 4).reshape(pictures.shape).clamp(-1, 1).transpose(0, 1).MoveToOuterDisposeScope();
    }
}
