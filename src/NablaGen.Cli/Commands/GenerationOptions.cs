using System.CommandLine;
using System.CommandLine.Completions;
using NablaGen.Denoising;
using NablaGen.Generation;

namespace NablaGen.Cli.Commands;

/// <summary>The options that say what to make, for every command that makes videos. Each command makes its own and adds those it has.</summary>
internal sealed class GenerationOptions
{
    public Option<string?> Prompt { get; } = new("--prompt", "-p") { Description = "What to show", HelpName = "TEXT" };

    public Option<string?> NegativePrompt { get; } =
        new("--negative-prompt") { Description = "What not to show [default: the model's]", HelpName = "TEXT" };

    public Option<string?> Attention { get; } = new("--attention")
    {
        Description = "dense, nabla-<threshold>, sta-<t>-<h>-<w>, nabla-<threshold>_sta-<t>-<h>-<w>, or nabla-<file> with thresholds from calibrate [default: the model's]",
        HelpName = "EXPR",
        CompletionSources = { "dense", "nabla-0.7", "nabla-0.6_sta-11-3-3", "sta-11-3-3" },
    };

    public Option<double?> Threshold { get; } =
        SharedOptions.Number("NABLA's threshold, short for --attention nabla-<threshold>", "0-1", "--threshold");

    public Option<double?> TargetDensity { get; } = SharedOptions.Number(
        "Hold this mean density by adapting NABLA's threshold between steps; a threshold in --attention is the first step's", "0-1", "--target-density");

    public Option<int?> DenseSteps { get; } =
        new("--dense-steps") { Description = "Keep the first N steps dense [default: 12 for sta-* alone, otherwise 0]", HelpName = "N" };

    public Option<int?> DenseLayers { get; } = new("--dense-layers") { Description = "Keep the first N layers dense [default: 0]", HelpName = "N" };

    public Option<int?> Width { get; } = new("--width") { Description = "Pixels, a multiple of 16 [default: the model's; Wan: 832]", HelpName = "N" };

    public Option<int?> Height { get; } = new("--height") { Description = "Pixels, a multiple of 16 [default: the model's; Wan: 480]", HelpName = "N" };

    public Option<int?> Frames { get; } = new("--frames", "-f") { Description = "Frames, 4n + 1 [default: the model's; Wan: 81]", HelpName = "N" };

    public Option<int?> Fps { get; } = new("--fps") { Description = "Frames a second [default: the model's; Wan: 16]", HelpName = "N" };

    public Option<int?> Steps { get; } = new("--steps", "-s") { Description = "Solver steps [default: the model's; Wan: 50]", HelpName = "N" };

    public Option<string?> Solver { get; } = new("--solver")
    {
        Description = $"{string.Join(", ", Solvers.Names)} [default: the model's; Wan: unipc]",
        HelpName = "NAME",
        CompletionSources = { _ => Solvers.Names.Select(name => new CompletionItem(name)) },
    };

    public Option<double?> Shift { get; } = SharedOptions.Number("Shift of the noise schedule [default: the model's; Wan: 5]", "X", "--shift");

    public Option<double?> Guidance { get; } =
        SharedOptions.Number("Guidance scale; 1 skips the pass without the prompt [default: the model's; Wan: 5]", "X", "--guidance", "-g");

    public Option<long?> Seed { get; } = new("--seed") { Description = "Seed of the noise [default: a random one, shown afterwards]", HelpName = "N" };

    /// <summary>All of them, in the help's order.</summary>
    public IEnumerable<Option> All =>
    [
        Prompt, NegativePrompt, Attention, Threshold, TargetDensity, DenseSteps, DenseLayers, Width, Height, Frames, Fps, Steps, Solver, Shift, Guidance, Seed,
    ];

    /// <summary>Adds the options to a command, but for some.</summary>
    public void AddTo(Command command, params Option[] except)
    {
        foreach (var option in All.Except(except))
        {
            command.Add(option);
        }
    }

    /// <summary>What the flags say; an option that the command does not have says nothing.</summary>
    /// <exception cref="InvalidRequestException">A flag is wrong whatever the model is.</exception>
    public PartialRequest Read(ParseResult parsed)
    {
        var request = new PartialRequest
        {
            Prompt = parsed.GetValue(Prompt),
            NegativePrompt = parsed.GetValue(NegativePrompt),
            Attention = PartialRequest.ParseAttention(parsed.GetValue(Attention), parsed.GetValue(Threshold), parsed.GetValue(TargetDensity)),
            TargetDensity = parsed.GetValue(TargetDensity),
            DenseSteps = parsed.GetValue(DenseSteps),
            DenseLayers = parsed.GetValue(DenseLayers),
            Width = parsed.GetValue(Width),
            Height = parsed.GetValue(Height),
            Frames = parsed.GetValue(Frames),
            Fps = parsed.GetValue(Fps),
            Steps = parsed.GetValue(Steps),
            Solver = parsed.GetValue(Solver),
            Shift = parsed.GetValue(Shift),
            Guidance = parsed.GetValue(Guidance),
            Seed = parsed.GetValue(Seed),
        };
        return request.Prompt is null || !string.IsNullOrWhiteSpace(request.Prompt)
            ? request
            : throw new InvalidRequestException("the prompt is empty");
    }
}
