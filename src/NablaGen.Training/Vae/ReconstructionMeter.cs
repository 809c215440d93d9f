using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using NablaGen.Training.Evaluation;
using NablaGen.Training.World;
using static TorchSharp.torch;

namespace NablaGen.Training.Vae;

/// <summary>
/// How well a VAE gives rendered clips back: what no transformer behind it can better. Frames are compared as bytes, as a video holds them,
/// on clips of a world of its own that no training shows.
/// </summary>
public sealed class ReconstructionMeter : IDisposable
{
    private const ulong Seed = 0x5EED;

    // Below one in 255: equal frames have a number, too.
    private const double LeastError = 1e-7;

    private readonly ShapeWorld _world = new(WorldSplit.All, Seed);
    private readonly WanVae _vae;
    private readonly Device _device;

    /// <summary>A meter of a VAE, which stays the caller's.</summary>
    /// <param name="vae">The VAE.</param>
    /// <param name="device">Where it is.</param>
    public ReconstructionMeter(WanVae vae, Device device) => (_vae, _device) = (vae, device);

    /// <summary>Encodes and decodes clips in which an object makes a motion.</summary>
    /// <param name="motion">The motion.</param>
    /// <param name="size">The clips' size.</param>
    /// <param name="clips">How many, at least 1.</param>
    /// <param name="cancellation">Stops between two clips.</param>
    public ReconstructionQuality Measure(MotionKind motion, ClipSize size, int clips, CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(clips, 1);
        var all = new List<double[]>();
        for (var index = 0L; all.Count < clips; index++)
        {
            var scene = _world.SceneAt(index);
            if (scene.Objects.Any(o => o.Motion == motion))
            {
                cancellation.ThrowIfCancellationRequested();
                all.Add(FrameErrors(scene, size));
                NativeHeap.Collect();
            }
        }

        return new ReconstructionQuality(
            motion, size, clips, all.Average(frames => Psnr(frames.Average())), all.Min(frames => Psnr(frames.Average())), all.Min(frames => Psnr(frames.Max())));
    }

    /// <inheritdoc/>
    public void Dispose() => _world.Dispose();

    // The mean squared error of each frame, of 1 for black to white.
    private double[] FrameErrors(Scene scene, ClipSize size)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var frames = FrameBytes.Round(_world.Render([scene], size, _device));
        var errors = new List<double>();
        var first = 0L;
        _vae.Decode(_vae.Encode(frames.to_type(ScalarType.Float32).Over(127.5).Minus(1)), decoded =>
        {
            using var each = NewDisposeScope();
            var given = frames.narrow(2, first, decoded.shape[2]).to_type(ScalarType.Float32);
            var squares = (FrameBytes.Round(decoded).to_type(ScalarType.Float32) - given).Over(255.0).Squared().mean([0, 1, 3, 4]).cpu();
            errors.AddRange(squares.data<float>().Select(error => (double)error));
            first += decoded.shape[2];
        });
        return [.. errors];
    }

    private static double Psnr(double error) => -10 * Math.Log10(Math.Max(error, LeastError));
}

/// <summary>How well clips of one motion and one size come back from a VAE, in dB.</summary>
/// <param name="Motion">What an object of each clip does.</param>
/// <param name="Size">The clips' size.</param>
/// <param name="Clips">How many there were.</param>
/// <param name="Mean">The mean over the clips of their PSNR.</param>
/// <param name="WorstClip">The lowest PSNR of a clip.</param>
/// <param name="WorstFrame">The lowest PSNR of a frame of any clip.</param>
public sealed record ReconstructionQuality(MotionKind Motion, ClipSize Size, int Clips, double Mean, double WorstClip, double WorstFrame);
