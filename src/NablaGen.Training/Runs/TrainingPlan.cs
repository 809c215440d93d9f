using System.Text;
using System.Text.Json;
using NablaGen.Attention;
using NablaGen.Files;
using NablaGen.Generation;
using NablaGen.Models.Wan.Vae;
using NablaGen.Training.Models;
using NablaGen.Training.Optimization;
using NablaGen.Training.World;

namespace NablaGen.Training.Runs;

/// <summary>What one training is told: noted in the output, so that a resumed run needs no flag again.</summary>
public sealed record TrainingPlan
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = System.Text.Json.Serialization.JsonUnmappedMemberHandling.Disallow,
    };

    /// <summary>Steps in all; the learning rate has fallen by the last.</summary>
    public required int Steps { get; init; }

    /// <summary>Clips a step.</summary>
    public required int Batch { get; init; }

    /// <summary>The highest learning rate.</summary>
    public required double LearningRate { get; init; }

    /// <summary>What moves the matrices inside the model.</summary>
    public OptimizerMethod Optimizer { get; init; } = OptimizerMethod.AdamW;

    /// <summary>Width of the clips in pixels.</summary>
    public required int Width { get; init; }

    /// <summary>Height of the clips in pixels.</summary>
    public required int Height { get; init; }

    /// <summary>Frames of the clips.</summary>
    public required int Frames { get; init; }

    /// <summary>Sizes of the clips where there are several, as <see cref="ClipSize.Parse"/> reads them: each step takes one. Empty for the one above.</summary>
    public IReadOnlyList<string> Sizes { get; init; } = [];

    /// <summary>Side of the window that the VAE sees of a clip.</summary>
    public required int Crop { get; init; }

    /// <summary>Clips in memory.</summary>
    public required int PoolClips { get; init; }

    /// <summary>Clips that are made at once.</summary>
    public required int PoolGroup { get; init; }

    /// <summary>Steps after which a group is replaced.</summary>
    public required int PoolEvery { get; init; }

    /// <summary>The transformer's self-attention: expressions, of which each step takes one.</summary>
    public required IReadOnlyList<string> Attention { get; init; }

    /// <summary>Bends a transformer's noise levels toward noise: see <see cref="Dit.FlowMatching.Sigmas"/>.</summary>
    public double NoiseShift { get; init; } = 2;

    /// <summary>How far they spread to both ends: see <see cref="Dit.FlowMatching.Sigmas"/>.</summary>
    public double NoiseSpread { get; init; } = 1;

    /// <summary>How much more the worst frames count for the VAE: see <see cref="Vae.VaeTrainingOptions.FrameWeight"/>.</summary>
    public double FrameWeight { get; init; }

    /// <summary>Whether the encoder stays as it is: the VAE's, and with it what a transformer has learnt, or the text encoder beside a transformer.</summary>
    public bool FrozenEncoder { get; init; }

    /// <summary>Seed of the weights and of all draws.</summary>
    public required long Seed { get; init; }

    /// <summary>The clips' size.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public ClipSize Clip => new(Frames, Height, Width);

    /// <summary>The sizes of which each step takes one, at least one.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public IReadOnlyList<ClipSize> Clips => Sizes.Count == 0 ? [Clip] : [.. Sizes.Select(size => ClipSize.Parse(size, Frames))];

    /// <summary>The same, read.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public IReadOnlyList<AttentionExpression> Attentions => [.. Attention.Select(ThresholdFile.ParseExpression)];

    /// <summary>The clips in memory of one size: of several each has its share, and waits as many times longer for fresh ones.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public PoolSize Pool => new(PoolClips / PoolGroup / Clips.Count * PoolGroup, PoolGroup, PoolEvery * Clips.Count);

    /// <summary>What suits a VAE of these sizes.</summary>
    public static TrainingPlan ForVae(ModelSizes sizes) => IsSmall(sizes)
        ? Of(sizes) with { Steps = 600, Batch = 4, LearningRate = 2e-3, PoolClips = 64, PoolGroup = 8, PoolEvery = 8 }
        : Of(sizes) with { Steps = 20000, Batch = 8, LearningRate = 8e-4, PoolClips = 512, PoolGroup = 16, PoolEvery = 32, Crop = 64 };

    /// <summary>What suits a transformer of these sizes.</summary>
    public static TrainingPlan ForDit(ModelSizes sizes) => IsSmall(sizes)
        ? Of(sizes) with { Steps = 1500, Batch = 16, LearningRate = 2e-3, PoolClips = 256, PoolGroup = 16, PoolEvery = 4 }
        : Of(sizes) with { Steps = 12000, Batch = 64, LearningRate = 1e-3, PoolClips = 4096, PoolGroup = 32, PoolEvery = 16, NoiseShift = 5, NoiseSpread = 1.5 };

    /// <summary>What suits a text encoder of these sizes.</summary>
    public static TrainingPlan ForText(ModelSizes sizes) => IsSmall(sizes)
        ? Of(sizes) with { Steps = 1500, Batch = 64, LearningRate = 3e-3 }
        : Of(sizes) with { Steps = 6000, Batch = 128, LearningRate = 2e-3 };

    /// <summary>Sees that a model of these sizes can be trained so.</summary>
    /// <exception cref="InvalidRequestException">A value is out of range; the line says which.</exception>
    public void Check(ModelSizes sizes)
    {
        var vae = sizes.Others.Vae;
        Require(Steps >= 1, $"steps must be 1 or more, found {Steps}");
        Require(Batch >= 1, $"batch must be 1 or more, found {Batch}");
        Require(LearningRate > 0 && double.IsFinite(LearningRate), $"learning rate must be above 0, found {LearningRate}");
        foreach (var clip in Clips)
        {
            CheckSide("width", clip.Width, vae, sizes.Dit.PatchSize.Width);
            CheckSide("height", clip.Height, vae, sizes.Dit.PatchSize.Height);
            Require(clip.Frames >= 1 && (clip.Frames - 1) % vae.TemporalStride == 0, $"frames must be {vae.TemporalStride}n + 1, found {clip.Frames}");
        }

        CheckSide("crop", Crop, vae, 1);
        Require(PoolGroup >= 1, $"fresh must be 1 or more, found {PoolGroup}");
        Require(PoolEvery >= 1 && PoolClips >= PoolGroup && PoolClips % PoolGroup == 0,
            $"pool must be a multiple of its groups of {PoolGroup} (--fresh), found {PoolClips}");
        Require(PoolClips / PoolGroup >= Clips.Count, $"pool must have a group of {PoolGroup} (--fresh) for each of the {Clips.Count} sizes, found {PoolClips}");
        Require(NoiseShift > 0 && double.IsFinite(NoiseShift), $"noise shift must be above 0, found {NoiseShift}");
        Require(NoiseSpread > 0 && NoiseSpread <= 4, $"noise spread must be above 0 and at most 4, found {NoiseSpread}");
        Require(Seed >= 0, $"seed must be 0 or more, found {Seed}");
        Require(Attentions.Count > 0, "attention needs an expression");
        foreach (var attention in Attentions)
        {
            PooledTail.Refuse(attention);
        }
    }

    /// <summary>Reads a plan.</summary>
    /// <exception cref="NablaGenException">It can't be read or is none.</exception>
    public static TrainingPlan Open(string path)
    {
        try
        {
            return JsonSerializer.Deserialize<TrainingPlan>(File.ReadAllBytes(path), Json) ?? throw new JsonException("it is null");
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new NablaGenException($"{path}: not the plan of a training: {Line.Of(e.Message, 300)}", e);
        }
    }

    /// <summary>Writes the plan, aside first.</summary>
    public void Save(string path) => OutputFile.Write(path, file => file.Write(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(this, Json) + "\n")));

    private static bool IsSmall(ModelSizes sizes) => sizes.Defaults is { Width: <= 64, Height: <= 64 };

    private static TrainingPlan Of(ModelSizes sizes)
    {
        var defaults = sizes.Defaults;
        return new TrainingPlan
        {
            Steps = 1,
            Batch = 1,
            LearningRate = 1,
            Width = defaults.Width,
            Height = defaults.Height,
            Frames = defaults.Frames,
            Crop = Math.Min(defaults.Width, defaults.Height),
            PoolClips = 1,
            PoolGroup = 1,
            PoolEvery = 1,
            Attention = [$"{defaults.Attention}"],
            Seed = 1,
        };
    }

    private static void CheckSide(string name, int value, VaeConfig vae, int patch) => Require(
        value >= 1 && value % (vae.SpatialStride * patch) == 0, $"{name} must be a multiple of {vae.SpatialStride * patch}, found {value}");

    private static void Require(bool holds, string otherwise)
    {
        if (!holds)
        {
            throw new InvalidRequestException(otherwise);
        }
    }
}
