using NablaGen.Attention;
using NablaGen.Models;
using NablaGen.Models.Streaming;
using NablaGen.Tensors;
using NablaGen.Weights;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tests.Memory;

/// <summary>A model whose transformer or VAE fails in the middle of its work once it is told to.</summary>
internal sealed class FailingModel(VideoModel model) : VideoModel
{
    /// <summary>Is thrown by the layers of the second step; null for none.</summary>
    public Exception? InLayers { get; set; }

    /// <summary>Is thrown with the first frames in hand; null for none.</summary>
    public Exception? InVae { get; set; }

    public override string Path => model.Path;

    public override string Name => model.Name;

    public override TransformerTraits Transformer => model.Transformer;

    public override LatentTraits Latents => model.Latents;

    public override ModelDefaults Defaults => model.Defaults;

    public override IReadOnlyList<(string File, long Parameters)> Parts => model.Parts;

    public override string Summary => model.Summary;

    public override string ComputeHash(CancellationToken cancellation = default) => model.ComputeHash(cancellation);

    public override void Check() => model.Check();

    public override void CheckVae() => model.CheckVae();

    public override string ComputeVaeHash() => model.ComputeVaeHash();

    public override WeightSizes SizesIn(ScalarType dtype, ScalarType vaeDtype) => model.SizesIn(dtype, vaeDtype);

    public override long TransformerWork(long[] latents, AttentionExpression attention, DeviceType device, ScalarType dtype, int batch = 1) =>
        model.TransformerWork(latents, attention, device, dtype, batch);

    public override long PromptMemory(ScalarType dtype) => model.PromptMemory(dtype);

    public override long TextEncoderWork(ScalarType dtype) => model.TextEncoderWork(dtype);

    public override long VaeWork(long[] latents, ScalarType dtype, VaeTiling tiling, bool framesApart = false) => model.VaeWork(latents, dtype, tiling, framesApart);

    public override bool HasVaeOfOwnConvolutions => model.HasVaeOfOwnConvolutions;

    public override IPromptTokenizer LoadTokenizer() => model.LoadTokenizer();

    public override ITextEncoder LoadTextEncoder(ModuleOptions options) => model.LoadTextEncoder(options);

    public override IVideoTransformer LoadTransformer(ModuleOptions options, LayerPlacement? placement = null) =>
        new FailingTransformer(this, model.LoadTransformer(options, placement));

    public override IVideoAutoencoder LoadVae(ModuleOptions options) => new FailingVae(this, model.LoadVae(options));

    public override ITensorSource OpenTransformer() => model.OpenTransformer();

    public override string AttentionOutputKey(int layer) => model.AttentionOutputKey(layer);

    private sealed class FailingTransformer(FailingModel owner, IVideoTransformer inner) : IVideoTransformer
    {
        public TransformerTraits Traits => inner.Traits;

        public nn.Module Module => inner.Module;

        public ModuleOptions Options => inner.Options;

        public ITransformerRun Begin(ReadOnlySpan<long> latents, IAttention attention, CancellationToken cancellation = default) =>
            new FailingRun(owner, inner.Begin(latents, attention, cancellation));

        public void Dispose() => inner.Dispose();
    }

    private sealed class FailingRun(FailingModel owner, ITransformerRun inner) : ITransformerRun
    {
        public int Step
        {
            get => inner.Step;
            set => inner.Step = value;
        }

        public BlockLayout Layout => inner.Layout;

        public IPreparedConditioning Prepare(Conditioning conditioning, bool keep) => inner.Prepare(conditioning, keep);

        public EmbeddedStep Embed(Tensor latents, Tensor time, IPreparedConditioning prepared) => inner.Embed(latents, time, prepared);

        public Tensor RunLayers(EmbeddedStep embedded, IPreparedConditioning prepared)
        {
            var tokens = inner.RunLayers(embedded, prepared);
            return owner.InLayers is { } error && Step > 0 ? throw error : tokens;
        }

        public Tensor RunHead(Tensor tokens, EmbeddedStep embedded) => inner.RunHead(tokens, embedded);

        public void Dispose() => inner.Dispose();
    }

    private sealed class FailingVae(FailingModel owner, IVideoAutoencoder inner) : IVideoAutoencoder
    {
        public Tensor Encode(Tensor video, VaeTiling? tiling = null, CancellationToken cancellation = default) => inner.Encode(video, tiling, cancellation);

        public void Decode(Tensor latents, Action<Tensor> onFrames, VaeTiling? tiling = null, CancellationToken cancellation = default) =>
            inner.Decode(
                latents,
                frames =>
                {
                    onFrames(frames);
                    if (owner.InVae is { } error)
                    {
                        throw error;
                    }
                },
                tiling,
                cancellation);

        public void Dispose() => inner.Dispose();
    }
}
