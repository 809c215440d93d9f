using NablaGen.Models;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using NablaGen.Training.World;
using static TorchSharp.torch;

namespace NablaGen.Training.Vae;

/// <summary>
/// Fits the colours of previews to a VAE by least squares: from the latents of rendered clips, in which things move, to the frames that they
/// decode to. The first latent frame is fitted by itself; a later one stands for several frames, whose mean it is to show.
/// </summary>
public sealed class LatentColorFit : IDisposable
{
    /// <summary>Clips that a fit takes by default.</summary>
    public const int DefaultClips = 12;

    // Of the mean square of the latents: channels that say nothing get no large factors.
    private const double Ridge = 1e-3;

    private const int Digits = 4;

    private readonly WanVae _vae;
    private readonly Side _first = new(), _later = new();

    /// <summary>A fit without clips yet.</summary>
    /// <param name="vae">A VAE with its weights; stays the caller's.</param>
    public LatentColorFit(WanVae vae) => _vae = vae;

    /// <summary>The map of clips.</summary>
    /// <param name="vae">A VAE with its weights, in float32; stays the caller's.</param>
    /// <param name="hash">The hash of its file.</param>
    /// <param name="clips">The clips, each disposed of after use. [1, 3, T, H, W], at least two latent frames</param>
    /// <param name="cancellation">Stops between two clips.</param>
    public static LatentColorMap Fit(WanVae vae, string hash, IEnumerable<ClipBatch> clips, CancellationToken cancellation = default)
    {
        using var fit = new LatentColorFit(vae);
        foreach (var batch in clips)
        {
            cancellation.ThrowIfCancellationRequested();
            using (batch)
            {
                fit.Add(batch.Frames);
            }

            NativeHeap.Collect();
        }

        return fit.Solve(hash);
    }

    /// <summary>Adds a clip.</summary>
    /// <param name="video">[1, 3, T, H, W] in [−1, 1], at least two latent frames.</param>
    public void Add(Tensor video)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var latents = _vae.Encode(video);
        var frames = Decode(_vae, latents);
        var (spatial, temporal) = (_vae.Config.SpatialStride, _vae.Config.TemporalStride);
        var small = nn.functional.avg_pool2d(frames.permute(1, 0, 2, 3), spatial).permute(1, 0, 2, 3);
        var (x, count) = (latents.squeeze(0).cpu(), latents.shape[2] - 1);
        _first.Add(x.narrow(1, 0, 1), small.narrow(1, 0, 1));
        _later.Add(x.narrow(1, 1, count), small.narrow(1, 1, count * temporal).reshape(3, count, temporal, small.shape[2], small.shape[3]).mean([2]));
    }

    /// <summary>The map that fits what was added best.</summary>
    /// <param name="hash">The hash of the VAE's file.</param>
    public LatentColorMap Solve(string hash) => new(hash, _first.Solve(), _later.Solve());

    /// <summary>The frames that latents decode to, on the CPU. [1, C, T', h, w] → [3, T, H, W] in [−1, 1]</summary>
    internal static Tensor Decode(WanVae vae, Tensor latents)
    {
        var parts = new List<Tensor>();
        try
        {
            vae.Decode(latents, frames => parts.Add(frames.squeeze(0).cpu().clone().DetachFromDisposeScope()));
            using var whole = cat(parts, 1);
            return whole.Clamped(-1, 1);
        }
        finally
        {
            parts.ForEach(part => part.Dispose());
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _first.Dispose();
        _later.Dispose();
    }

    // The sums of one of the two maps.
    private sealed class Side : IDisposable
    {
        private Tensor? _xx, _xy;

        // [C, n, h, w], [3, n, h, w]
        public void Add(Tensor latents, Tensor colors)
        {
            using var scope = NewDisposeScope();
            var x = latents.flatten(1).t().to_type(ScalarType.Float64);
            x = cat([x, ones(x.shape[0], 1, dtype: ScalarType.Float64)], 1);
            var (xx, xy) = (x.t().matmul(x), x.t().matmul(colors.flatten(1).t().to_type(ScalarType.Float64)));
            Keep(ref _xx, xx);
            Keep(ref _xy, xy);
        }

        public float[] Solve()
        {
            using var scope = NewDisposeScope();
            var ridge = eye(_xx!.shape[0], dtype: ScalarType.Float64).Times(Ridge * _xx.diagonal().mean().item<double>());
            return [.. linalg.solve(_xx.Plus(ridge), _xy!).t().contiguous().data<double>().Select(value => (float)Math.Round(value, Digits))];
        }

        public void Dispose()
        {
            _xx?.Dispose();
            _xy?.Dispose();
        }

        private static void Keep(ref Tensor? sum, Tensor more)
        {
            using var before = sum;
            sum = (before is null ? more.clone() : before.Plus(more)).DetachFromDisposeScope();
        }
    }
}
