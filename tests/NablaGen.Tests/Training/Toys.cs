using NablaGen.Attention;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Text.Tokenizer;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using NablaGen.Training.Dit;
using NablaGen.Training.Models;
using NablaGen.Training.Optimization;
using NablaGen.Training.Runs;
using NablaGen.Training.Text;
using NablaGen.Training.Vae;
using NablaGen.Training.World;
using static TorchSharp.torch;

namespace NablaGen.Tests.Training;

/// <summary>Models and trainings small enough for a test.</summary>
internal static class Toys
{
    public static ClipSize Clip { get; } = new(5, 32, 32);

    public static string TokenizerPath => Directory.GetFiles(Path.Combine(GoldenFolder.Path, "tokenizer"), "*.model").Single();

    /// <summary>The model in the box.</summary>
    public static string Box { get; } = Path.Combine(GoldenFolder.Path, "..", "..", "models", "tiny");

    public static string BoxTokenizer { get; } = Path.Combine(Box, WanVideoModel.TokenizerFile);

    public static ModelSizes Sizes(int layers = 2)
    {
        var dit = new DitConfig { Dim = 64, NumHeads = 1, NumLayers = layers, FfnDim = 128, TextLen = 32, TextDim = 32, InDim = 4, OutDim = 4, FreqDim = 64 };
        var others = new NablaGenJson
        {
            Name = "toy",
            TextEncoder = new TextEncoderConfig { Vocab = 1, Dim = 32, DimAttn = 32, DimFfn = 64, NumHeads = 1, NumLayers = 1 },
            Vae = new VaeConfig { Dim = 8, ZDim = 4, NumResBlocks = 1, DimMult = [1, 2, 2, 2], LatentsMean = new float[4], LatentsStd = [1, 1, 1, 1] },
            Defaults = WanDefaults.Values.With(
                ("width", Clip.Width), ("height", Clip.Height), ("frames", Clip.Frames), ("fps", 8), ("steps", 8), ("solver", "euler"), ("shift", 1),
                ("guidance", 1), ("negative_prompt", "")),
        };
        return new ModelSizes(dit, others).WithVocabulary(UmT5Tokenizer.Load(TokenizerPath).VocabularySize);
    }

    /// <summary>A VAE in training; with a folder to begin with its encoder is frozen, unless said otherwise.</summary>
    public static VaeTrainer Vae(IClipSource source, int steps = 100, int batch = 2, ModelSizes? sizes = null, string? from = null,
        bool? frozen = null, IReadOnlyList<ClipSize>? sizesOfClips = null) => new(
        sizes ?? Sizes(),
        new VaeTrainingOptions
        {
            Clips = sizesOfClips ?? [Clip],
            Crop = 32,
            Batch = batch,
            Pool = new PoolSize(6, 3, 4),
            Optimizer = Optimizer(5e-3, steps),
            MeasuredClips = 6,
            From = from,
            FrozenEncoder = frozen ?? from is not null,
        },
        source, ModuleOptions.Cpu);

    public static DitTrainer Dit(
        IClipSource source, int steps = 100, int batch = 4, double dropout = 0.1, ScalarType dtype = ScalarType.Float32, string? from = null,
        IReadOnlyList<ClipSize>? sizesOfClips = null, string task = "t2v", params string[] attentions) => new(
        Sizes().ForTask(task),
        new DitTrainingOptions
        {
            Clips = sizesOfClips ?? [Clip],
            Batch = batch,
            Pool = new PoolSize(6, 3, 2),
            Optimizer = Optimizer(3e-3, steps),
            Shift = 1,
            PromptDropout = dropout,
            From = from,
            FrozenEncoder = from is not null,
            Attentions = attentions.Length == 0 ? [AttentionExpression.Dense] : [.. attentions.Select(AttentionExpression.Parse)],
        },
        source, RandomVae(), UmT5Tokenizer.Load(TokenizerPath), ModuleOptions.Cpu with { Dtype = dtype });

    /// <summary>A text encoder in training: two layers, and the vocabulary of the model in the box.</summary>
    public static TextTrainer Text(ISceneSource source, int steps = 100, int batch = 8, string? from = null)
    {
        const int Width = 64;
        var tokenizer = UmT5Tokenizer.Load(BoxTokenizer);
        var sizes = Sizes();
        var encoder = new TextEncoderConfig { Vocab = 1, Dim = Width, DimAttn = Width, DimFfn = 2 * Width, NumHeads = 2, NumLayers = 2 };
        sizes = (sizes with { Dit = sizes.Dit with { TextDim = Width }, Others = sizes.Others with { TextEncoder = encoder } })
            .WithVocabulary(tokenizer.VocabularySize);
        var options = new TextTrainingOptions { Batch = batch, Optimizer = Optimizer(5e-3, steps), MeasuredCaptions = 256, From = from };
        return new TextTrainer(sizes, options, source, tokenizer, ModuleOptions.Cpu);
    }

    /// <summary>A VAE of drawn weights, its latents normalised: good enough to learn them.</summary>
    public static WanVae RandomVae()
    {
        var config = Sizes().Others.Vae;
        return Draw(Normalised());

        VaeConfig Normalised()
        {
            using var scope = NewDisposeScope();
            using var noGrad = no_grad();
            using var clips = new SlidingSquares().Next(0, 6, Clip, CPU);
            using var plain = Draw(config);
            var latents = plain.Encode(clips.Frames);
            return config with
            {
                LatentsMean = [.. latents.mean([0, 2, 3, 4]).data<float>()],
                LatentsStd = [.. latents.std([0, 2, 3, 4]).data<float>()],
            };
        }

        static WanVae Draw(VaeConfig config)
        {
            var vae = new WanVae(config, ModuleOptions.Cpu);
            using var generator = new Generator(5);
            Initialization.Draw(vae, generator);
            return vae;
        }
    }

    /// <summary>Trains on and gives the losses.</summary>
    public static float[] Advance(ITrainer trainer, int steps)
    {
        var losses = new float[steps];
        for (var i = 0; i < steps; i++)
        {
            using var scope = NewDisposeScope();
            trainer.Prepare(null, default);
            using var measures = trainer.Advance();
            losses[i] = measures[0].item<float>();
        }

        return losses;
    }

    private static OptimizerOptions Optimizer(double rate, int steps) => new() { LearningRate = rate, Steps = steps, WarmUp = 10, AverageDecay = 0.98 };
}
