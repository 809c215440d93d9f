using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Models;
using NablaGen.Weights.Lora;

namespace NablaGen.Generation.Fields;

/// <summary>
/// The options of a request. A new one is an entry here and in <see cref="Table"/>; what uses it asks
/// <see cref="GenerationRequest.Get"/> for its value.
/// </summary>
public static class RequestFields
{
    private const FieldPlaces Words = FieldPlaces.CommandLine | FieldPlaces.Row | FieldPlaces.Preset;

    /// <summary>What to show.</summary>
    public static TypedField<string?> Prompt { get; } = new("prompt", FieldKinds.Text)
    {
        Aliases = ["-p"],
        HelpName = "TEXT",
        Help = "What to show; - reads it from standard input",
        Details = "`batch` has it in its file; a note says where it is longer than the model reads (Wan2.1: 512 tokens, the model in the box: 64)",
        Places = FieldPlaces.CommandLine | FieldPlaces.Row | FieldPlaces.Recipe,
        IsInEveryRecipe = true,
        RecipeOrder = 0,
    };

    /// <summary>What not to show.</summary>
    public static TypedField<string?> NegativePrompt { get; } = new("negative-prompt", FieldKinds.Text)
    {
        HelpName = "TEXT",
        Help = "What not to show",
        DefaultText = "the model's",
        RecipeOrder = 1,
    };

    /// <summary>The self-attention.</summary>
    public static TypedField<AttentionExpression?> Attention { get; } = new("attention", FieldKinds.Attention)
    {
        Group = FieldGroup.Attention,
        HelpName = "EXPR",
        Help = "dense, nabla-<threshold>, nabla-<threshold>+top<blocks>, nabla-<threshold>+tail, sta-<t>-<h>-<w>, nabla-<threshold>_sta-<t>-<h>-<w>, nabla-<file> with thresholds from calibrate, or rola-<share> for SparkDiffusion's checkpoints",
        Details = "`sta-11-3-3` is a sliding window, in blocks; `+top8` keeps at least 8 blocks for each; `+tail` replaces the blocks left out by one pooled term; `rola-0.1` keeps a tenth of the blocks for each",
        Suggestions = ["dense", "nabla-0.7", "nabla-0.6_sta-11-3-3", "sta-11-3-3"],
        IsInEveryRecipe = true,
        RecipeOrder = 3,
        OpensFile = true,
    };

    /// <summary>A short form of the attention.</summary>
    public static TypedField<double?> Threshold { get; } = new("threshold", FieldKinds.Number(NumberRange.AboveTo(0, 1)))
    {
        Group = FieldGroup.Attention,
        Label = "NABLA's threshold",
        HelpName = "0-1",
        Help = "NABLA's threshold, short for --attention nabla-<threshold>: lower is sparser and faster, too low damages the video",
        Details = "a note says where it is below what is safe for the model (the model in the box: 0.8)",
        Places = Words,
    };

    /// <summary>The mean density to hold.</summary>
    public static TypedField<double?> TargetDensity { get; } = new("target-density", FieldKinds.Number(NumberRange.Between(0, 1)))
    {
        Group = FieldGroup.Attention,
        HelpName = "0-1",
        Help = "Mean density of the run: NABLA's threshold is adapted from step to step; a pass before the first step shows where to begin",
        Details = "the mean is met to 0.01 (with 4 steps or more), and the first steps lie above it rather than below; a threshold in `--attention` is that of the pass before",
        Places = Words | FieldPlaces.Recipe,
        RecipeOrder = 4,
    };

    /// <summary>The threshold of each step that held the target density; a recipe says what sampling found. [steps]</summary>
    public static TypedField<IReadOnlyList<double>?> Thresholds { get; } = new("thresholds", FieldKinds.Numbers(NumberRange.AboveTo(0, 1)))
    {
        Group = FieldGroup.Attention,
        HelpName = "LIST",
        Help = "The threshold of each step that held the target density",
        Places = FieldPlaces.Recipe,
        RecipeOrder = 5,
    };

    /// <summary>First steps to keep dense.</summary>
    public static TypedField<int?> DenseSteps { get; } = new("dense-steps", FieldKinds.WholeOrAuto(NumberRange.FromTo(0, FlowSchedule.TrainTimesteps)))
    {
        Group = FieldGroup.Attention,
        HelpName = "N",
        Help = "Keep the first N steps dense; auto: as many as the weights need",
        Details = $"`auto` is {AttentionExpression.StaDenseSteps} for `sta-*` alone; for NABLA it is {SparsityRules.DenseShare * 100:0}% of the steps where the weights were not trained for sparse "
            + "attention (with a target density at most half of it), and 0 where they were (NABLA's fine-tunes, the model in the box) and with thresholds from calibrate",
        DefaultText = "auto",
        Suggestions = ["auto"],
        Places = Words | FieldPlaces.Recipe,
        IsInEveryRecipe = true,
        RecipeOrder = 6,
    };

    /// <summary>First layers to keep dense.</summary>
    public static TypedField<int?> DenseLayers { get; } = new("dense-layers", FieldKinds.WholeOrAuto(NumberRange.FromTo(0, 10_000)))
    {
        Group = FieldGroup.Attention,
        HelpName = "N",
        Help = "Keep the first N layers dense; auto: 0",
        DefaultValue = 0,
        Places = Words | FieldPlaces.Recipe,
        IsInEveryRecipe = true,
        RecipeOrder = 7,
    };

    /// <summary>Steps that a mask serves.</summary>
    public static TypedField<int?> MaskEvery { get; } = new("mask-every", FieldKinds.Whole(NumberRange.FromTo(1, FlowSchedule.TrainTimesteps)))
    {
        Group = FieldGroup.Attention,
        HelpName = "N",
        Help = "Choose NABLA's blocks in every Nth step and keep them for the steps between",
        DefaultValue = 1,
        Places = Words | FieldPlaces.Recipe,
    };

    /// <summary>The dense step whose exact masses choose the masks of all later ones.</summary>
    public static TypedField<int?> MaskFromStep { get; } = new("mask-from-step", FieldKinds.Whole(NumberRange.FromTo(1, FlowSchedule.TrainTimesteps)))
    {
        Group = FieldGroup.Attention,
        HelpName = "N",
        Help = "Choose NABLA's blocks once, in step N, by the attention that each carries exactly; steps 1 to N are dense",
        Details = "not with a target density",
        DefaultText = "none",
        Places = Words | FieldPlaces.Recipe,
    };

    /// <summary>Width of the video in pixels.</summary>
    public static TypedField<int?> Width { get; } = Side("width", 12);

    /// <summary>Height of the video in pixels.</summary>
    public static TypedField<int?> Height { get; } = Side("height", 13);

    /// <summary>Frames, 4n + 1.</summary>
    public static TypedField<int?> Frames { get; } = new("frames", FieldKinds.Whole(NumberRange.FromTo(1, 4097)))
    {
        Group = FieldGroup.HowMuch,
        Aliases = ["-f"],
        HelpName = "N",
        Help = "Frames, 4n + 1",
        IsInEveryRecipe = true,
        RecipeOrder = 14,
    };

    /// <summary>Frames a second.</summary>
    public static TypedField<int?> Fps { get; } = new("fps", FieldKinds.Whole(NumberRange.FromTo(1, 240)))
    {
        Group = FieldGroup.HowMuch,
        HelpName = "N",
        Help = "Frames a second",
        IsInEveryRecipe = true,
        RecipeOrder = 15,
        ChangesLatents = false,
    };

    /// <summary>Solver steps.</summary>
    public static TypedField<int?> Steps { get; } = new("steps", FieldKinds.Whole(NumberRange.FromTo(1, FlowSchedule.TrainTimesteps)))
    {
        Group = FieldGroup.HowMuch,
        Aliases = ["-s"],
        HelpName = "N",
        Help = "Solver steps",
        IsInEveryRecipe = true,
        RecipeOrder = 8,
    };

    /// <summary>The timesteps of the steps, before the shift.</summary>
    public static TypedField<IReadOnlyList<double>?> Timesteps { get; } = new("timesteps", FieldKinds.Numbers(NumberRange.AboveTo(0, FlowSchedule.TrainTimesteps)))
    {
        Group = FieldGroup.HowMuch,
        HelpName = "LIST",
        Help = "Timesteps of the steps before the shift, such as 1000,750,500,250, instead of --steps",
        DefaultText = "even ones",
    };

    /// <summary>The solver's name.</summary>
    public static TypedField<string?> Solver { get; } = new("solver", FieldKinds.OneOf(Solvers.Names))
    {
        Group = FieldGroup.HowMuch,
        HelpName = "NAME",
        Help = string.Join(", ", Solvers.Names),
        Suggestions = Solvers.Names,
        IsInEveryRecipe = true,
        RecipeOrder = 9,
    };

    /// <summary>The schedule's shift.</summary>
    public static TypedField<double?> Shift { get; } = new("shift", FieldKinds.Number(NumberRange.Above(0)))
    {
        Group = FieldGroup.HowMuch,
        HelpName = "X",
        Help = "Shift of the noise schedule",
        IsInEveryRecipe = true,
        RecipeOrder = 10,
    };

    /// <summary>Scale of classifier-free guidance.</summary>
    public static TypedField<double?> Guidance { get; } = new("guidance", FieldKinds.Number(NumberRange.AtLeast(0)))
    {
        Group = FieldGroup.HowMuch,
        Aliases = ["-g"],
        HelpName = "X",
        Help = "Guidance scale; 1 skips the pass without the prompt",
        IsInEveryRecipe = true,
        RecipeOrder = 11,
    };

    /// <summary>Seed of the noise.</summary>
    public static TypedField<long?> Seed { get; } = new("seed", FieldKinds.Long(NumberRange.FromTo(0, long.MaxValue)))
    {
        HelpName = "N",
        Help = "Seed of the noise",
        Details = "the same noise on every device",
        DefaultText = "a random one, shown afterwards",
        Places = FieldPlaces.CommandLine | FieldPlaces.Row | FieldPlaces.Recipe,
        IsInEveryRecipe = true,
        RecipeOrder = 2,
    };

    /// <summary>LoRAs to merge into the transformer.</summary>
    public static TypedField<LoraList?> Lora { get; } = new("lora", FieldKinds.Loras)
    {
        Group = FieldGroup.Model,
        Label = "LoRA",
        HelpName = "FILE[:X]",
        Help = "Merge a LoRA into the transformer, at strength X; may be given more than once",
        Details = "strength 1 where there is none; `high:FILE` or `low:FILE` for one of Wan2.2's two experts; `none` for none of the model's own; several in a batch's row stand between semicolons",
        DefaultValue = LoraList.Empty,
        IsRepeatable = true,
    };

    /// <summary>How steps are answered from memory.</summary>
    public static TypedField<string?> StepCache { get; } = new("step-cache", FieldKinds.StepCache)
    {
        Group = FieldGroup.HowMuch,
        HelpName = "NAME[:X]",
        Help = $"Skip steps that change little: {string.Join(", ", StepCaches.Names)}, with the error at which a step is computed",
        Details = "`easy` (0.05 where no error is named) works with every model, `tea` and `mag` with Wan2.1's 1.3B and 14B; with 8 steps or fewer nothing can be skipped",
        Suggestions = StepCaches.Names,
        DefaultValue = StepCaches.None,
        Places = Words | FieldPlaces.Recipe,
    };

    /// <summary>The text encoder's file in place of the model's own.</summary>
    public static TypedField<string?> TextEncoder { get; } = Piece(
        ModelPieces.TextEncoderKey, "Text encoder in place of the model's own: umT5 in one file", "any layout of docs/models.md; one with a tokenizer inside brings it along");

    /// <summary>The VAE's file in place of the model's own.</summary>
    public static TypedField<string?> Vae { get; } = Piece(ModelPieces.VaeKey, "VAE in place of the model's own", "any layout of docs/models.md");

    /// <summary>The tokenizer's file in place of the model's own.</summary>
    public static TypedField<string?> Tokenizer { get; } = Piece(
        ModelPieces.TokenizerKey, "Tokenizer in place of the model's own: spiece.model, tokenizer.json, or a file with one inside", null);

    /// <summary>The image encoder's file in place of the model's own.</summary>
    public static TypedField<string?> ImageEncoder { get; } = Piece(
        ModelPieces.ImageEncoderKey, "Image encoder in place of the model's own, for Wan2.1's models of pictures", "the authors' file or `clip_vision_h`");

    /// <summary>All of them, in the help's order.</summary>
    public static RequestFieldTable Table { get; } = new(
    [
        Prompt, NegativePrompt, Attention, Threshold, TargetDensity, Thresholds, DenseSteps, DenseLayers, MaskEvery, MaskFromStep, Width, Height, Frames, Fps, Steps, Timesteps, Solver, Shift,
        Guidance, PictureFields.GuidanceHigh, Seed, Lora, StepCache, TextEncoder, Vae, Tokenizer, ImageEncoder, .. PictureFields.All,
    ]);

    // The model is opened with them before there is a request; a recipe names what was used in its model's name, and opens nothing.
    private static TypedField<string?> Piece(string key, string help, string? details) => new(key.Replace('_', '-'), FieldKinds.Text)
    {
        Group = FieldGroup.Model,
        HelpName = "FILE",
        Help = help,
        Details = details,
        DefaultText = "the model's",
        Places = FieldPlaces.CommandLine | FieldPlaces.Row | FieldPlaces.Defaults,
        ChangesLatents = key != ModelPieces.VaeKey,
    };

    private static TypedField<int?> Side(string name, int order) => new(name, FieldKinds.Whole(NumberRange.FromTo(1, 16384, "the most that H.264 takes")))
    {
        Group = FieldGroup.HowMuch,
        HelpName = "N",
        Help = "Pixels, a multiple of 16",
        IsInEveryRecipe = true,
        RecipeOrder = order,
    };
}
