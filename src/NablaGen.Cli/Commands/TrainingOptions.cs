using System.CommandLine;
using System.Diagnostics;
using NablaGen.Training.Optimization;
using NablaGen.Training.Runs;

namespace NablaGen.Cli.Commands;

/// <summary>The options of <c>nablagen train</c>, and the plan and the limits that they make.</summary>
internal sealed class TrainingOptions
{
    private readonly Option<double?> _minutes = SharedOptions.Number("Stop this run after so many minutes, counted from the start of the command; saving comes after that", "M", "--minutes");
    private readonly Option<bool> _anneal = new("--anneal") { Description = "Let the learning rate fall to its end within this run's minutes, whatever the number of steps; for the last run" };
    private readonly Option<int?> _steps = new("--steps") { Description = "Steps of the whole training, over all runs: the learning rate falls by then [default: the preset's]", HelpName = "N" };
    private readonly Option<int?> _batch = new("--batch") { Description = "Clips a step [default: the preset's]", HelpName = "N" };
    private readonly Option<double?> _rate = SharedOptions.Number("The highest learning rate [default: the preset's]", "X", "--learning-rate");

    // Not an enumeration's option: it would take numbers too.
    private readonly Option<string?> _optimizer = new Option<string?>("--optimizer") { Description = "Optimiser of the matrices inside the model: adamw or muon [default: the preset's]", HelpName = "NAME" }
        .AcceptOnlyFromAmong("adamw", "muon");
    private readonly Option<int?> _width = new("--width") { Description = "Width of the clips [default: the preset's]", HelpName = "N" };
    private readonly Option<int?> _height = new("--height") { Description = "Height of the clips [default: the preset's]", HelpName = "N" };
    private readonly Option<int?> _frames = new("--frames", "-f") { Description = "Frames of the clips, 4n + 1 [default: the preset's]", HelpName = "N" };
    private readonly Option<string[]> _sizes = new("--sizes")
    {
        Description = "Several sizes of clips instead of one, such as 256x256 320x192 256x256x17 (width, height, and frames where they differ); each step takes one, so one named twice comes twice as often",
        HelpName = "WxH",
        AllowMultipleArgumentsPerToken = true,
    };

    private readonly Option<int?> _pool = new("--pool") { Description = "Clips held in memory, of all sizes together [default: the preset's]", HelpName = "N" };
    private readonly Option<int?> _fresh = new("--fresh") { Description = "Clips of each size that are replaced at once, every few steps; fewer of them and a small pool show each clip a hundred times, more take more time [default: the preset's]", HelpName = "N" };
    private readonly Option<int> _pictures = new("--pictures") { Description = "Steps from one picture to the next; 0: only the last", HelpName = "N", DefaultValueFactory = _ => 1000 };
    private readonly Option<long?> _seed = new("--seed") { Description = "Seed of weights, scenes and draws [default: 1]", HelpName = "N" };

    /// <summary>The model folder to write.</summary>
    public Option<string> Output { get; } = new("--output", "-o")
    {
        Description = "Model folder to write; the state of the training goes to its folder training",
        HelpName = "DIR",
        Required = true,
    };

    /// <summary>Whether the training goes on from its state.</summary>
    public Option<bool> Resume { get; } = new("--resume") { Description = "Continue from the state in the output; options that are not given are as before" };

    /// <summary>The model folder whose weights are the beginning.</summary>
    public Option<string?> From { get; } = new("--from") { Description = "Start from the weights and sizes of this model folder, instead of random weights", HelpName = "DIR" };

    /// <summary>The sizes of the model.</summary>
    public Option<string?> Preset { get; } = new("--preset")
    {
        Description = "Sizes of the model: tiny, toy, or a folder with config.json and nablagen.json [default: the output's, or tiny]",
        HelpName = "NAME",
    };

    /// <summary>Where it runs.</summary>
    public Option<string> Device { get; } = SharedOptions.Device();

    /// <summary>The GPUs that train together.</summary>
    public RankOptions Ranks { get; } = new();

    /// <summary>The type of the large matrix products.</summary>
    public Option<string> Dtype { get; } = SharedOptions.Dtype();

    /// <summary>The VAE's window; of its training alone.</summary>
    public Option<int?> Crop { get; } = new("--crop") { Description = "Side of the window that a step sees of each clip [default: the preset's]", HelpName = "N" };

    /// <summary>Leaves an encoder as it is, whose is the command's to say.</summary>
    public Option<bool> FreezeEncoder { get; } = new("--freeze-encoder");

    /// <summary>The tokenizer of those that read captions.</summary>
    public Option<string?> Tokenizer { get; } = new("--tokenizer") { Description = "SentencePiece model [default: the output's, that of --from, or that of the model in the box]", HelpName = "FILE" };

    /// <summary>The transformer's self-attention, of its training alone.</summary>
    public Option<string[]> Attention { get; } = new("--attention")
    {
        Description = "Self-attention in training: dense, nabla-<threshold>, ...; of several, each step draws one [default: the model's]",
        HelpName = "EXPR",
        AllowMultipleArgumentsPerToken = true,
    };

    /// <summary>How much noise the transformer learns from, of its training alone.</summary>
    public Option<double?> NoiseShift { get; } = new("--noise-shift")
    {
        Description = "Bends the noise levels toward noise, as --shift bends those of sampling; 1 for not at all [default: 5; 2 for a preset of 64x64 or less]",
        HelpName = "F",
    };

    /// <summary>How far its levels spread, of its training alone.</summary>
    public Option<double?> NoiseSpread { get; } = new("--noise-spread")
    {
        Description = "Standard deviation of the noise levels' logits: above 1 for more of both ends [default: 1.5; 1 for a preset of 64x64 or less]",
        HelpName = "F",
    };

    /// <summary>What the transformer is told beside text, of its training alone.</summary>
    // Not an enumeration's option: it would take numbers too.
    public Option<string?> Task { get; } = new Option<string?>("--task")
    {
        Description = "What it makes videos of: t2v, text; i2v, text and the first frame, as Wan2.2's I2V-A14B. With --from, the weights may be those of a "
            + "text model, and the text encoder stays as it is, so that one serves both [default: the sizes']",
        HelpName = "NAME",
    }.AcceptOnlyFromAmong("t2v", "i2v");

    /// <summary>Those of every training.</summary>
    public IEnumerable<Option> Shared => [Output, Resume, From, Preset, _minutes, _anneal, _steps, _batch, _rate, _optimizer, _seed, Device, Dtype];

    /// <summary>Those of a training that sees clips.</summary>
    public IEnumerable<Option> OfClips => [_width, _height, _frames, _sizes, _pool, _fresh, _pictures];

    /// <summary>The plan of a new training, or that of the one that goes on, with what the command line says.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="files">The training's files.</param>
    /// <param name="preset">What a new one has where nothing is said.</param>
    /// <exception cref="InvalidRequestException">Options contradict one another or the files that are there.</exception>
    public TrainingPlan Plan(ParseResult parsed, TrainingFolder files, TrainingPlan preset)
    {
        var resume = parsed.GetValue(Resume);
        if (resume != File.Exists(files.State))
        {
            throw new InvalidRequestException(resume
                ? $"{files.State} does not exist: leave out --resume to start a training"
                : $"{files.State} exists already: continue from it with --resume, or name another --output");
        }

        if (parsed.GetValue(_anneal) && (parsed.GetValue(_minutes) is null || parsed.GetValue(_steps) is not null))
        {
            throw new InvalidRequestException("--anneal needs --minutes, and no --steps");
        }

        if (resume && parsed.GetResult(_seed) is not null)
        {
            throw new InvalidRequestException("--seed has no effect with --resume: the training already has a seed");
        }

        if (resume && parsed.GetValue(FreezeEncoder))
        {
            throw new InvalidRequestException("--freeze-encoder has no effect with --resume: the training continues as it began");
        }

        var plan = resume ? TrainingPlan.Open(files.Plan) : preset;
        return plan with
        {
            Steps = parsed.GetValue(_steps) ?? plan.Steps,
            Batch = parsed.GetValue(_batch) ?? plan.Batch,
            LearningRate = parsed.GetValue(_rate) ?? plan.LearningRate,
            Optimizer = parsed.GetValue(_optimizer) is { } optimizer ? Enum.Parse<OptimizerMethod>(optimizer, ignoreCase: true) : plan.Optimizer,
            Width = parsed.GetValue(_width) ?? plan.Width,
            Height = parsed.GetValue(_height) ?? plan.Height,
            Frames = parsed.GetValue(_frames) ?? plan.Frames,
            Sizes = parsed.GetValue(_sizes) is { Length: > 0 } several ? several : plan.Sizes,
            Crop = parsed.GetValue(Crop) ?? plan.Crop,
            PoolClips = parsed.GetValue(_pool) ?? plan.PoolClips,
            PoolGroup = parsed.GetValue(_fresh) ?? plan.PoolGroup,
            Attention = parsed.GetValue(Attention) is { Length: > 0 } attentions ? attentions : plan.Attention,
            NoiseShift = parsed.GetValue(NoiseShift) ?? plan.NoiseShift,
            NoiseSpread = parsed.GetValue(NoiseSpread) ?? plan.NoiseSpread,
            FrozenEncoder = parsed.GetValue(FreezeEncoder) || plan.FrozenEncoder,
            Seed = parsed.GetValue(_seed) ?? plan.Seed,
        };
    }

    /// <summary>When this run stops and what it shows.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="plan">The plan.</param>
    /// <param name="clock">Runs since the command began.</param>
    /// <exception cref="InvalidRequestException">A number is wrong.</exception>
    public RunLimits Limits(ParseResult parsed, TrainingPlan plan, Stopwatch clock) => new()
    {
        Steps = plan.Steps,
        Time = Minutes(parsed),
        Anneals = parsed.GetValue(_anneal),
        Clock = clock,
        PictureEvery = parsed.GetValue(_pictures) is >= 0 and var every ? every : throw new InvalidRequestException("pictures must be 0 or more"),
    };

    private TimeSpan? Minutes(ParseResult parsed) => parsed.GetValue(_minutes) switch
    {
        null => null,
        > 0 and < 1e6 and var minutes => TimeSpan.FromMinutes(minutes),
        var minutes => throw new InvalidRequestException($"minutes must be above 0, found {minutes}"),
    };
}
