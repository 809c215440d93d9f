using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Text.Tokenizer;
using NablaGen.Tensors;
using NablaGen.Training.Dit;
using NablaGen.Training.Models;
using NablaGen.Training.Optimization;
using NablaGen.Training.Runs;
using NablaGen.Training.World;
using static TorchSharp.torch;

namespace NablaGen.Training.Text;

/// <summary>
/// Trains the text encoder on captions alone, to say what they mean: above all which shape, colour and motion belong to which of two
/// objects. That takes minutes, where a transformer's training also has to learn to draw.
/// </summary>
public sealed class TextTrainer : OptimizedTrainer
{
    private const int MeasuredBatch = 128;

    private readonly TextTrainingOptions _options;
    private readonly ModelSizes _sizes;
    private readonly ISceneSource _source;
    private readonly ModuleOptions _model;
    private readonly CaptionEncoder _captions;
    private readonly T5Encoder _encoder;
    private readonly MeaningHeads _heads;

    /// <summary>A text encoder at step 0, of drawn weights unless the options name a folder.</summary>
    /// <param name="sizes">The model, its vocabulary that of the tokenizer.</param>
    /// <param name="options">How it is trained.</param>
    /// <param name="source">The captions, and what they mean.</param>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="model">Where the encoder is trained and in which type.</param>
    public TextTrainer(ModelSizes sizes, TextTrainingOptions options, ISceneSource source, UmT5Tokenizer tokenizer, ModuleOptions model)
    {
        (_sizes, _options, _source, _model) = (sizes, options, source, model);
        _captions = new CaptionEncoder(tokenizer, sizes.Dit.TextLen);
        _encoder = new T5Encoder(sizes.Others.TextEncoder, model);
        using var generator = new Generator((ulong)options.Seed);
        if (options.From is { } from)
        {
            ModelFiles.ReadTextEncoder(from, _encoder);
            if (Initialization.IsBlindToOrder(_encoder))
            {
                // It would stay so: a hard attention has next to no gradient.
                Initialization.DrawOrder(_encoder, generator);
            }
        }
        else
        {
            Initialization.Draw(_encoder, generator);
        }

        _heads = new MeaningHeads(sizes.Dit.TextDim, model.Float32, generator);
        Parameters = new FlatParameters(("text.", _encoder), ("heads.", _heads));
        Optimizer = new Optimizer(Parameters, options.Optimizer with { RelativeRate = TextRates.Of(sizes.Others.TextEncoder) });
    }

    /// <inheritdoc/>
    public override string Name => "text";

    /// <inheritdoc/>
    public override int Batch => _options.Batch;

    /// <summary>The loss, the share of the pairs whose two shapes are both told right, and the gradient's norm.</summary>
    public override IReadOnlyList<string> Measures { get; } = ["loss", "pairs", "norm"];

    /// <inheritdoc/>
    public override FlatParameters Parameters { get; }

    /// <inheritdoc/>
    protected override Optimizer Optimizer { get; }

    /// <summary>Nothing: captions are made as fast as they are read.</summary>
    public override void Prepare(Action<int, int>? onGroup, CancellationToken cancellation)
    {
    }

    /// <inheritdoc/>
    public override Tensor Advance()
    {
        using var scope = NewDisposeScope();
        using var answers = Read((long)Step * _options.Batch, _options.Batch, out var captions);
        var (objects, scenes) = Ask(captions);
        var (loss, right) = MeaningLoss.Of(objects, scenes, answers);
        var pairs = right.select(1, 0).logical_and(answers.Pairs).sum() / answers.Pairs.sum().AtLeast(1);
        var norm = Optimizer.Update(Parameters.Gradient(loss));
        return stack([loss.detach(), pairs.to_type(ScalarType.Float32), norm]).MoveToOuterDisposeScope();
    }

    /// <summary>What the weights in training make of captions. [B, 2, sum of classes], [B, sum of classes]</summary>
    /// <param name="captions">The texts.</param>
    public (Tensor Objects, Tensor Scenes) Ask(IReadOnlyList<string> captions)
    {
        using var scope = NewDisposeScope();
        var ids = _captions.Encode(captions, CPU);
        // Padding beyond the longest caption changes nothing, and is most of the length.
        var longest = _captions.Mask(ids).sum(1).max().item<long>();
        ids = ids.narrow(1, 0, longest).to(_model.Device);
        var (objects, scenes) = _heads.Ask(_encoder.Context(ids, _captions.Mask(ids)), _sizes.Dit.TextLen);
        return (objects.MoveToOuterDisposeScope(), scenes.MoveToOuterDisposeScope());
    }

    /// <summary>None: it makes nothing to look at.</summary>
    public override Tensor? Picture() => null;

    /// <summary>Writes the text encoder in bfloat16, and the sizes; of a new model also a transformer to begin with.</summary>
    /// <returns>How often both objects of captions that it has not seen are told right.</returns>
    public override string Export(string folder)
    {
        using var averaged = Parameters.Lend(Optimizer.Average);
        ModelFiles.SaveTextEncoder(folder, _encoder);
        _sizes.Save(folder);
        if (_options.From is null && !File.Exists(ModelFiles.Dit(folder)))
        {
            DrawTransformer(folder);
        }

        return Measure().ToString();
    }

    /// <summary>Asks about captions that training does not see.</summary>
    public MeaningQuality Measure()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var quality = new MeaningQuality();
        for (var done = 0; done < _options.MeasuredCaptions; done += MeasuredBatch)
        {
            using var each = NewDisposeScope();
            using var answers = Read(StepRandom.FirstUnseen + done, Math.Min(MeasuredBatch, _options.MeasuredCaptions - done), out var captions);
            var (objects, scenes) = Ask(captions);
            quality.Add(MeaningLoss.Of(objects, scenes, answers).Right, answers);
        }

        return quality;
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        Optimizer.Dispose();
        Parameters.Dispose();
        _encoder.Dispose();
        _heads.Dispose();
    }

    // The transformer's training takes both from one folder.
    private void DrawTransformer(string folder)
    {
        using var transformer = new WanModel(_sizes.Dit, ModuleOptions.Cpu);
        using var generator = new Generator((ulong)_options.Seed);
        Initialization.Draw(transformer, generator);
        ModelFiles.SaveDit(folder, transformer);
    }

    private SceneAnswers Read(long first, int count, out string[] captions)
    {
        var read = Enumerable.Range(0, count).Select(i => (Scene: _source.SceneAt(first + i), Caption: _source.DescribeAt(first + i, 0))).ToList();
        captions = [.. read.Select(pair => pair.Caption.Text)];
        return SceneAnswers.Of([.. read.Select(pair => pair.Scene)], [.. read.Select(pair => pair.Caption.Says)], _model.Device);
    }
}
