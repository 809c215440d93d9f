using NablaGen.Models;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using NablaGen.Training.Models;
using NablaGen.Training.Optimization;
using NablaGen.Training.Runs;
using NablaGen.Training.World;
using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Training.Vae;

/// <summary>Trains the VAE: clips in, the same clips out, through latents that stay near a normal distribution.</summary>
public sealed class VaeTrainer : OptimizedTrainer
{
    private const int PictureClips = 4;

    // Under a root, where a gradient would be infinite.
    private const double Tiny = 1e-12;

    private const double LeastVariance = 1e-8;

    private readonly VaeTrainingOptions _options;
    private readonly ModelSizes _sizes;
    private readonly IClipSource _source;
    private readonly Device _device;
    private readonly WanVae _vae;
    private readonly IReadOnlyList<ClipPool> _pools;

    /// <summary>A VAE of drawn weights at step 0.</summary>
    /// <param name="sizes">The model.</param>
    /// <param name="options">How it is trained.</param>
    /// <param name="source">The clips to learn from.</param>
    /// <param name="model">Where it is trained and in which type.</param>
    public VaeTrainer(ModelSizes sizes, VaeTrainingOptions options, IClipSource source, ModuleOptions model)
    {
        (_sizes, _options, _source, _device) = (sizes, options, source, model.Device);
        _vae = new WanVae(sizes.Others.Vae, model with { IsDifferentiable = true });
        using var generator = new Generator((ulong)options.Seed);
        if (options.From is { } from)
        {
            Begin(from, generator);
        }
        else
        {
            Initialization.Draw(_vae, generator);
        }

        Parameters = new FlatParameters(options.FrozenEncoder ? [.. _vae.DecodingParts] : [("", _vae)]);
        Optimizer = new Optimizer(Parameters, options.Optimizer);
        // Bytes: a quarter of the floats to keep, and as many shades as the videos have that are made in the end.
        _pools = [.. options.Clips.Select((size, i) => new ClipPool(source, size, model.Device, options.Pool,
            (clips, _) => [clips.Frames.Plus(1).Times(127.5).round().to_type(ScalarType.Byte)], i * StepRandom.PoolClips))];
    }

    /// <inheritdoc/>
    public override string Name => "vae";

    /// <inheritdoc/>
    public override int Batch => _options.Batch;

    /// <inheritdoc/>
    public override FlatParameters Parameters { get; }

    /// <inheritdoc/>
    protected override Optimizer Optimizer { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Measures { get; } = ["loss", "l1", "edges", "frames", "kl", "norm"];

    /// <inheritdoc/>
    public override void Prepare(Action<int, int>? onGroup, CancellationToken cancellation) => ClipPool.MoveAllTo(_pools, Step, onGroup, cancellation);

    /// <inheritdoc/>
    public override Tensor Advance()
    {
        using var scope = NewDisposeScope();
        StepRandom.Seed(_options.Seed, Step, _device);
        var random = StepRandom.Of(_options.Seed, Step);
        var pool = _pools[random.Next(_pools.Count)];
        var video = Crop(pool.Draw(_options.Batch)[0], random).to_type(ScalarType.Float32).Over(127.5).Minus(1);
        var (latents, kl) = Encode(video);
        var decoded = _vae.DecodeWhole(latents.to_type(Dtype)).to_type(ScalarType.Float32);

        var error = decoded - video;
        var l1 = error.abs().mean();
        var weighted = (error.abs() * Weight(video)).mean();
        var edges = Difference(error, 2).Plus(Difference(error, 3)).Plus(Difference(error, 4));
        // Means of squares of each frame, then their own root mean square. [B, T] → []
        var frames = error.Squared().mean([1, 3, 4]).Squared().mean().Plus(Tiny).sqrt();
        var loss = weighted.Plus(edges.Times(_options.EdgeWeight)).Plus(kl.Times(_options.KlWeight));
        if (_options.FrameWeight > 0)
        {
            loss = loss.Plus(frames.Times(_options.FrameWeight));
        }

        var norm = Optimizer.Update(Parameters.Gradient(loss));
        return stack([loss.detach(), l1.detach(), edges.detach(), frames.detach(), kl.detach(), norm]).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor? Picture()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var averaged = Parameters.Lend(Optimizer.Average);
        var rows = new List<Tensor>();
        for (var i = 0; i < PictureClips; i++)
        {
            using var clips = Unseen(i, _options.Clips[0]);
            rows.Add(clips.Frames.squeeze(0).cpu());
            rows.Add(Reconstruct(clips.Frames).squeeze(0).cpu());
        }

        return ClipSheet.Compose(rows, columns: 5).MoveToOuterDisposeScope();
    }

    /// <summary>Writes the VAE in bfloat16 and, into <c>nablagen.json</c>, its latents' mean and deviation, measured with what is in the file.</summary>
    public override string Export(string folder)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using (Parameters.Lend(Optimizer.Average))
        {
            ModelFiles.SaveVae(folder, _vae);
        }

        using var written = ModelFiles.LoadVae(folder, _sizes.Others.Vae, new ModuleOptions(_device, ScalarType.Float32));
        var (means, squares, errors) = (new List<Tensor>(), new List<Tensor>(), new List<Tensor>());
        for (var i = 0; i < _options.MeasuredClips; i++)
        {
            using var each = NewDisposeScope();
            using var clips = Unseen(PictureClips + i, _options.Clips[i % _options.Clips.Count]);
            var latents = written.EncodeMoments(clips.Frames).Mean;
            means.Add(latents.mean([0, 2, 3, 4]).MoveToOuterDisposeScope());
            squares.Add(latents.Squared().mean([0, 2, 3, 4]).MoveToOuterDisposeScope());
            errors.Add((written.DecodeWhole(latents).Clamped(-1, 1) - clips.Frames).Squared().mean().MoveToOuterDisposeScope());
        }

        var mean = stack(means).mean([0]);
        // A channel that says nothing may come out a little below 0.
        var std = (stack(squares).mean([0]) - mean.Squared()).AtLeast(LeastVariance).sqrt();
        // Two units from black to white.
        var psnr = stack(errors).log10().Times(-10).Plus(10 * Math.Log10(4)).mean().item<float>();
        // A transformer has learnt the latents as they were normalised: so they stay.
        var vae = _options.FrozenEncoder ? _sizes.Others.Vae : _sizes.Others.Vae with { LatentsMean = Rounded(mean), LatentsStd = Rounded(std) };
        var map = PreviewColors(folder, vae);
        (_sizes with { Others = _sizes.Others with { Vae = vae, Preview = map } }).Save(folder);
        return $"PSNR {psnr:0.0} dB over {_options.MeasuredClips} clips that it has not seen";
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        foreach (var pool in _pools)
        {
            pool.Dispose();
        }

        Optimizer.Dispose();
        Parameters.Dispose();
        _vae.Dispose();
    }

    // Latents, drawn as the encoder says, and how far they are from a standard normal distribution. A frozen encoder's are their mean, which is
    // what a transformer has learnt. [B, 3, T, H, W] → [B, ZDim, T', H / 8, W / 8], []
    private (Tensor Latents, Tensor Kl) Encode(Tensor video)
    {
        using var scope = NewDisposeScope();
        using var noGrad = _options.FrozenEncoder ? no_grad() : null;
        var (mean, logVariance) = _vae.EncodeMoments(video.to_type(Dtype));
        (mean, logVariance) = (mean.to_type(ScalarType.Float32), logVariance.to_type(ScalarType.Float32).Clamped(-30, 20));
        var kl = (mean.Squared().Plus(logVariance.exp()).Minus(1) - logVariance).mean().Times(0.5);
        var latents = _options.FrozenEncoder ? mean : mean.Plus(randn_like(mean) * logVariance.Times(0.5).exp());
        return (latents.MoveToOuterDisposeScope(), kl.MoveToOuterDisposeScope());
    }

    // The colours of previews, from the normalised latents of clips that it has not seen; of a single latent frame there are no later ones.
    private LatentColorMap? PreviewColors(string folder, VaeConfig config)
    {
        if (_options.Clips.All(size => size.Frames == 1))
        {
            return null;
        }

        using var vae = ModelFiles.LoadVae(folder, config, new ModuleOptions(_device, ScalarType.Float32));
        var sizes = _options.Clips.Where(size => size.Frames > 1).ToArray();
        var first = PictureClips + _options.MeasuredClips;
        return LatentColorFit.Fit(vae, ModelHash.Compute([ModelFiles.Vae(folder)]),
            Enumerable.Range(0, Math.Min(LatentColorFit.DefaultClips, _options.MeasuredClips)).Select(i => Unseen(first + i, sizes[i % sizes.Length])));
    }

    private ScalarType Dtype => Parameters.HalfLength > 0 ? ScalarType.BFloat16 : ScalarType.Float32;

    private ClipBatch Unseen(long index, ClipSize size) => _source.Next(StepRandom.FirstUnseen + index, 1, size, _device);

    private Tensor Reconstruct(Tensor video) =>
        _vae.DecodeWhole(_vae.EncodeMoments(video.to_type(Dtype)).Mean).to_type(ScalarType.Float32);

    // The weights to begin with: those of a folder, or a narrower VAE's within drawn ones.
    private void Begin(string from, Generator generator)
    {
        var narrower = ModelSizes.Open(from).Others.Vae;
        if (narrower.ZDim == _vae.Config.ZDim && narrower.DimMult.SequenceEqual(_vae.Config.DimMult))
        {
            ModelFiles.ReadVae(from, _vae);
        }
        else
        {
            VaeWidening.Read(from, narrower, _vae, generator);
        }
    }

    // The same window of each clip, more often from the middle, where things move.
    private Tensor Crop(Tensor video, Random random)
    {
        var (height, width) = ((int)Math.Min(_options.Crop, video.shape[3]), (int)Math.Min(_options.Crop, video.shape[4]));
        return video.narrow(3, Middling((int)video.shape[3] - height), height).narrow(4, Middling((int)video.shape[4] - width), width);

        int Middling(int most) => (random.Next(most + 1) + random.Next(most + 1)) / 2;
    }

    // What moves counts more: it is a small part of the picture, and the first that a VAE of few channels smears. 1 on average. [B, 1, T, H, W]
    private Tensor Weight(Tensor video)
    {
        using var scope = NewDisposeScope();
        var motion = (video - video.mean([2], keepdim: true)).abs().mean([1], keepdim: true);
        var weight = motion.Times(_options.MotionWeight).Plus(1);
        return (weight / weight.mean()).MoveToOuterDisposeScope();
    }

    private static Tensor Difference(Tensor error, int axis) => error.diff(1, axis).abs().mean();

    private static float[] Rounded(Tensor values) => [.. values.cpu().data<float>().Select(value => MathF.Round(value, 4))];
}
