using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Generation.Fields;
using NablaGen.Models;
using NablaGen.Weights.Lora;

namespace NablaGen.Generation;

/// <summary>One video to make.</summary>
public sealed record GenerationRequest
{
    private FieldValues _values = FieldValues.Empty.With(RequestFields.DenseSteps, 0).With(RequestFields.DenseLayers, 0);

    /// <summary>A request to be filled with its values.</summary>
    public GenerationRequest()
    {
    }

    // The compiler asks for the properties to be set; they have no storage of their own, and the values have it all.
#pragma warning disable CS8618
    [SetsRequiredMembers]
    internal GenerationRequest(FieldValues values) => _values = values;
#pragma warning restore CS8618

    /// <summary>All values, by field. The properties below are the same values by name.</summary>
    public FieldValues Values => _values;

    /// <summary>What to show.</summary>
    public required string Prompt { get => Get(RequestFields.Prompt)!; init => Set(RequestFields.Prompt, value); }

    /// <summary>What not to show; unused at guidance 1.</summary>
    public required string NegativePrompt { get => Get(RequestFields.NegativePrompt) ?? ""; init => Set(RequestFields.NegativePrompt, value); }

    /// <summary>The self-attention.</summary>
    public required AttentionExpression Attention { get => Get(RequestFields.Attention)!; init => Set(RequestFields.Attention, value); }

    /// <summary>
    /// The mean density to hold over all layers, heads and steps, by adapting NABLA's threshold between steps; the attention's own threshold
    /// is then that of a pass before the first sparse step, which shows where to begin. Null to leave it alone.
    /// </summary>
    public double? TargetDensity { get => Get(RequestFields.TargetDensity); init => Set(RequestFields.TargetDensity, value); }

    /// <summary>With a target density, the thresholds to use instead of looking for them: those of a recipe, to make it again. [steps]</summary>
    public IReadOnlyList<double>? Thresholds { get => Get(RequestFields.Thresholds); init => Set(RequestFields.Thresholds, value); }

    /// <summary>First steps to keep dense.</summary>
    public int DenseSteps { get => Get(RequestFields.DenseSteps) ?? 0; init => Set(RequestFields.DenseSteps, value); }

    /// <summary>First layers to keep dense.</summary>
    public int DenseLayers { get => Get(RequestFields.DenseLayers) ?? 0; init => Set(RequestFields.DenseLayers, value); }

    /// <summary>Steps that a mask serves; 1 for a mask in each.</summary>
    public int MaskEvery { get => Get(RequestFields.MaskEvery) ?? 1; init => Set(RequestFields.MaskEvery, value); }

    /// <summary>The dense step, from 1, whose exact masses choose the masks of all later ones; null for none.</summary>
    public int? MaskFromStep { get => Get(RequestFields.MaskFromStep); init => Set(RequestFields.MaskFromStep, value); }

    /// <summary>Width of the video in pixels.</summary>
    public required int Width { get => Get(RequestFields.Width)!.Value; init => Set(RequestFields.Width, value); }

    /// <summary>Height of the video in pixels.</summary>
    public required int Height { get => Get(RequestFields.Height)!.Value; init => Set(RequestFields.Height, value); }

    /// <summary>Frames, 4n + 1.</summary>
    public required int Frames { get => Get(RequestFields.Frames)!.Value; init => Set(RequestFields.Frames, value); }

    /// <summary>Frames a second.</summary>
    public required int Fps { get => Get(RequestFields.Fps)!.Value; init => Set(RequestFields.Fps, value); }

    /// <summary>Solver steps.</summary>
    public required int Steps { get => Get(RequestFields.Steps)!.Value; init => Set(RequestFields.Steps, value); }

    /// <summary>Timesteps before the shift, falling; null for even ones. [steps]</summary>
    public IReadOnlyList<double>? Timesteps { get => Get(RequestFields.Timesteps); init => Set(RequestFields.Timesteps, value); }

    /// <summary>The solver's name: see <see cref="Solvers.Names"/>.</summary>
    public required string Solver { get => Get(RequestFields.Solver)!; init => Set(RequestFields.Solver, value); }

    /// <summary>The schedule's shift.</summary>
    public required double Shift { get => Get(RequestFields.Shift)!.Value; init => Set(RequestFields.Shift, value); }

    /// <summary>Scale of classifier-free guidance; 1 skips the pass without the prompt.</summary>
    public required double Guidance { get => Get(RequestFields.Guidance)!.Value; init => Set(RequestFields.Guidance, value); }

    /// <summary>Seed of the noise, 0 or more: the same noise on every device.</summary>
    public required long Seed { get => Get(RequestFields.Seed)!.Value; init => Set(RequestFields.Seed, value); }

    /// <summary>LoRAs to merge into the transformer.</summary>
    public LoraList Loras { get => Get(RequestFields.Lora) ?? LoraList.Empty; init => Set(RequestFields.Lora, value); }

    /// <summary>How steps are answered from memory: see <see cref="StepCaches.Names"/>.</summary>
    public string StepCache { get => Get(RequestFields.StepCache) ?? StepCaches.None; init => Set(RequestFields.StepCache, value); }

    /// <summary>The picture that the video begins with; null for none.</summary>
    public SourcePicture? Image { get => Get(PictureFields.Image); init => Set(PictureFields.Image, value); }

    /// <summary>The picture that the video ends with; null for none.</summary>
    public SourcePicture? LastImage { get => Get(PictureFields.LastImage); init => Set(PictureFields.LastImage, value); }

    /// <summary>Whether the pass without the prompt is needed.</summary>
    public bool IsGuided => Guidance != 1 || Get(PictureFields.GuidanceHigh) is not (null or 1);

    /// <summary>The value of a field; null where it has none.</summary>
    public T? Get<T>(TypedField<T> field) => _values.Get(field);

    /// <summary>The same request with another value of a field.</summary>
    public GenerationRequest With<T>(TypedField<T> field, T? value) => new(_values.With(field, value));

    /// <summary>The size of the latents. [C, T', h, w]</summary>
    public long[] LatentShape(LatentTraits latents) => latents.ShapeOf(Frames, Height, Width);

    /// <summary>How noise becomes latents.</summary>
    public SamplingSettings Sampling => new()
    {
        Attention = Attention,
        TargetDensity = TargetDensity,
        Thresholds = Thresholds,
        DenseSteps = DenseSteps,
        DenseLayers = DenseLayers,
        MaskEvery = MaskEvery,
        MaskFromStep = MaskFromStep,
        Steps = Steps,
        Timesteps = Timesteps,
        Solver = Solver,
        Shift = Shift,
        Guidance = Guidance,
        StepCache = StepCache,
        GuidanceHigh = Get(PictureFields.GuidanceHigh),
    };

    /// <summary>Sees that a model can make this video.</summary>
    /// <exception cref="InvalidRequestException">A value is out of range, or one has no effect; the line says which and what would do.</exception>
    public void Check(VideoModel model)
    {
        Check(model.Transformer, model.Latents);
        PictureRules.Check(this, model);
    }

    /// <inheritdoc cref="Check(VideoModel)"/>
    public void Check(TransformerTraits transformer, LatentTraits latents)
    {
        Values.Check();
        Multiple("width", Width, latents.SpatialStride * transformer.Patch.Width);
        Multiple("height", Height, latents.SpatialStride * transformer.Patch.Height);
        Require((Frames - 1) % latents.TemporalStride == 0,
            $"frames must be {latents.TemporalStride}n + 1, such as {Nearest(Frames, latents.TemporalStride)}, found {Frames}");
        Require(((Frames - 1) / latents.TemporalStride + 1) % transformer.Patch.Time == 0,
            $"frames: the latent frames must be a multiple of {transformer.Patch.Time}, found {(Frames - 1) / latents.TemporalStride + 1}");
        transformer.Check(Attention);
        if (Attention.IsDense)
        {
            Require(DenseSteps == 0 && DenseLayers == 0, "dense steps and dense layers have no effect on attention 'dense'");
        }
        else
        {
            Require(Attention.RolaShare is null || (DenseSteps == 0 && DenseLayers == 0),
                $"dense steps and dense layers have no place in attention '{Attention}': the model was trained with it in every step and layer");
            Require(DenseSteps < Steps,
                $"attention '{Attention}' keeps the first {DenseSteps} steps dense and there are {Steps}, so nothing would be sparse: use --dense-steps or more --steps");
            Require(DenseLayers < transformer.Layers,
                $"the first {DenseLayers} layers are to be dense and the model has {transformer.Layers}, so nothing would be sparse");
        }

        SparsityRules.Check(this, transformer);
        if (TargetDensity is { } target)
        {
            Require(Attention.Threshold is not null, $"a target density adapts NABLA's threshold, and attention '{Attention}' has {(Attention.HeadThresholds is null ? "none" : "one for each head")}");
            var floor = DensityController.Floor(Attention, transformer.LayoutOf(LatentShape(latents)), transformer.Layers, DenseLayers);
            var least = DensityController.Least(floor, Steps, DenseSteps);
            Require(target > least && target < 1, string.Create(CultureInfo.InvariantCulture, $"target density must be above {least:0.000} and below 1, found {target}: ")
                + $"attention '{Attention}' keeps that much at least at this size"
                + $"{(DenseLayers > 0 || DenseSteps > 0 ? $" with {string.Join(" and ", new[] { DenseSteps > 0 ? $"{DenseSteps} of {Steps} steps" : null, DenseLayers > 0 ? $"{DenseLayers} layers" : null }.OfType<string>())} dense" : "")}");
        }

        StepCaches.Check(StepCache, transformer, Steps);
        Require(Timesteps is null || Timesteps.Count == Steps, $"there are {Timesteps?.Count} timesteps for {Steps} steps");
        Require(Timesteps?.Zip(Timesteps.Skip(1)).All(pair => pair.First > pair.Second) != false, "each of the timesteps must be below the one before it");
        Require(Thresholds is null || (TargetDensity is not null && Thresholds.Count == Steps),
            "the thresholds of a recipe must be one for each step, and belong to a target density");
    }

    /// <summary>The values, on one line.</summary>
    public override string ToString() => $"{Values}";

    private void Set<T>(TypedField<T> field, T? value) => _values = _values.With(field, value);

    private static void Multiple(string name, int value, int of)
    {
        Require(value % of == 0,
            $"{name} must be a multiple of {of}, such as {Math.Max(of, (int)Math.Round((double)value / of) * of)}, found {value}");
    }

    private static int Nearest(int frames, int stride) => Math.Max(0, (int)Math.Round((frames - 1) / (double)stride)) * stride + 1;

    private static void Require(bool holds, string otherwise)
    {
        if (!holds)
        {
            throw new InvalidRequestException(otherwise);
        }
    }
}
