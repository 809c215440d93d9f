using System.CommandLine;
using System.Diagnostics;
using NablaGen.Cli.Output;
using NablaGen.Generation;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Text.Tokenizer;
using NablaGen.Tensors;
using NablaGen.Training.Dit;
using NablaGen.Training.Models;
using NablaGen.Training.Optimization;
using NablaGen.Training.Runs;
using NablaGen.Training.Text;
using NablaGen.Training.Vae;
using NablaGen.Training.World;

namespace NablaGen.Cli.Commands;

/// <summary><c>nablagen train vae|text|dit</c>: trains a model on the captioned world, in slices that resume one another.</summary>
internal sealed class TrainCommand
{
    public const string VaeExample = "train vae --output out/tiny --preset tiny --minutes 8.5";
    public const string TextExample = "train text --from models/tiny --output out/words --minutes 5 --anneal";
    public const string DitExample = "train dit --output out/tiny --minutes 8.5 --attention nabla-0.6";

    private readonly Option<string> _output = new("--output", "-o")
    {
        Description = "Model folder to write; the state of the training goes to its folder training",
        HelpName = "DIR",
        Required = true,
    };

    private readonly Option<bool> _resume = new("--resume") { Description = "Continue from the state in the output; options that are not given are as before" };
    private readonly Option<string?> _from = new("--from") { Description = "Start from the weights and sizes of this model folder, instead of random weights", HelpName = "DIR" };
    private readonly Option<string?> _preset = new("--preset")
    {
        Description = "Sizes of the model: tiny, toy, or a folder with config.json and nablagen.json [default: the output's, or tiny]",
        HelpName = "NAME",
    };

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
    private readonly Option<string> _device = SharedOptions.Device();
    private readonly Option<string> _dtype = SharedOptions.Dtype();

    // The VAE's alone.
    private readonly Option<int?> _crop = new("--crop") { Description = "Side of the window that a step sees of each clip [default: the preset's]", HelpName = "N" };

    // Another encoder's in each: the command says whose.
    private readonly Option<bool> _freeze = new("--freeze-encoder");

    // Those of the two that read captions.
    private readonly Option<string?> _tokenizer = new("--tokenizer") { Description = "SentencePiece model [default: the output's, that of --from, or that of the model in the box]", HelpName = "FILE" };

    // The transformer's alone.
    private readonly Option<string[]> _attention = new("--attention")
    {
        Description = "Self-attention in training: dense, nabla-<threshold>, ...; of several, each step draws one [default: the model's]",
        HelpName = "EXPR",
        AllowMultipleArgumentsPerToken = true,
    };

    // Not an enumeration's option: it would take numbers too.
    private readonly Option<string?> _task = new Option<string?>("--task")
    {
        Description = "What it makes videos of: t2v, text; i2v, text and the first frame, as Wan2.2's I2V-A14B. With --from, the weights may be those of a "
            + "text model, and the text encoder stays as it is, so that one serves both [default: the sizes']",
        HelpName = "NAME",
    }.AcceptOnlyFromAmong("t2v", "i2v");

    public static Command Create()
    {
        var vae = new TrainCommand();
        vae._from.Description = "Begin with the weights of this model folder instead of drawn ones; with --preset they become the first channels of a wider VAE";
        vae._freeze.Description = "Train the decoder alone: a transformer that was trained on the encoder's latents still fits";
        var vaeCommand = new Command("vae", "Train the VAE, which comes first.") { vae._crop, vae._freeze };
        Add(vaeCommand, vae.Shared, vae.OfClips);
        vaeCommand.SetAction((parsed, cancellation) => Task.FromResult(vae.RunVae(parsed, cancellation)));

        var text = new TrainCommand();
        var textCommand = new Command("text", "Train the text encoder on captions alone: which shape, colour and motion belong to which object.") { text._tokenizer };
        Add(textCommand, text.Shared);
        textCommand.SetAction((parsed, cancellation) => Task.FromResult(text.RunText(parsed, cancellation)));

        var dit = new TrainCommand();
        dit._from.Description = "Begin with the weights of this model folder instead of drawn ones; with --preset they may have fewer latent channels";
        dit._freeze.Description = "Train the transformer alone, with the text encoder of --from as it is";
        var ditCommand = new Command("dit", "Train the transformer and the text encoder, on the latents of the output's VAE.") { dit._task, dit._attention, dit._tokenizer, dit._freeze };
        Add(ditCommand, dit.Shared, dit.OfClips);
        ditCommand.SetAction((parsed, cancellation) => Task.FromResult(dit.RunDit(parsed, cancellation)));
        return new Command("train", "Train a model on rendered, captioned clips, in runs of any length.") { vaeCommand, textCommand, ditCommand, TrainPreviewCommand.Create() };
    }

    private IEnumerable<Option> Shared => [_output, _resume, _from, _preset, _minutes, _anneal, _steps, _batch, _rate, _optimizer, _seed, _device, _dtype];

    // Of trainings that see clips.
    private IEnumerable<Option> OfClips => [_width, _height, _frames, _sizes, _pool, _fresh, _pictures];

    private static void Add(Command command, params IEnumerable<Option>[] options)
    {
        foreach (var option in options.SelectMany(some => some))
        {
            command.Add(option);
        }
    }

    private int RunVae(ParseResult parsed, CancellationToken cancellation)
    {
        var folder = parsed.GetValue(_output)!;
        var files = new TrainingFolder(folder, "vae");
        var sizes = Sizes(parsed, folder, widens: true);
        var plan = Plan(parsed, files, TrainingPlan.ForVae(sizes));
        if (parsed.GetValue(_from) is not null)
        {
            // It already gives clips back: what is left is their worst frames.
            plan = plan with { FrameWeight = 12 };
        }

        plan.Check(sizes);
        var from = Start(parsed, plan, folder);
        return Train(parsed, plan, files, sizes, (world, model) => new VaeTrainer(sizes, VaeTrainingOptions.Of(plan) with { From = from }, new LivelyClips(world), model), cancellation);
    }

    private int RunText(ParseResult parsed, CancellationToken cancellation)
    {
        var folder = parsed.GetValue(_output)!;
        var files = new TrainingFolder(folder, "text");
        var sizes = Sizes(parsed, folder);
        var plan = Plan(parsed, files, TrainingPlan.ForText(sizes));
        plan.Check(sizes);
        var tokenizer = PlaceTokenizer(parsed, folder);
        sizes = sizes.WithVocabulary(tokenizer.VocabularySize);
        var from = parsed.GetValue(_from);
        if (from is not null)
        {
            // A whole model again, for train dit --from.
            ModelFiles.CopyDit(from, folder);
            ModelFiles.CopyVae(from, folder);
        }

        return Train(parsed, plan, files, sizes,
            (world, model) => new TextTrainer(sizes, TextTrainingOptions.Of(plan) with { From = from }, world, tokenizer, model), cancellation);
    }

    private int RunDit(ParseResult parsed, CancellationToken cancellation)
    {
        var folder = parsed.GetValue(_output)!;
        var files = new TrainingFolder(folder, "dit");
        var sizes = OfTask(parsed, Sizes(parsed, folder, widens: true));
        var plan = Plan(parsed, files, TrainingPlan.ForDit(sizes));
        plan = plan with { FrozenEncoder = plan.FrozenEncoder || (sizes.Dit.GuideChannels > 0 && parsed.GetValue(_from) is not null) };
        plan.Check(sizes);
        if (parsed.GetValue(_from) is null && !parsed.GetValue(_resume) && File.Exists(new TrainingFolder(folder, "text").State))
        {
            throw new InvalidRequestException($"{folder} has a text encoder that train text trained, and this would start it from random weights: use train dit --from {folder} --output ANOTHER");
        }

        var start = Start(parsed, plan, folder);
        var tokenizer = PlaceTokenizer(parsed, folder);
        sizes = sizes.WithVocabulary(tokenizer.VocabularySize);
        if (VaeFolder(parsed) is { } latents)
        {
            ModelFiles.CopyVae(latents, folder);
        }

        return Train(parsed, plan, files, sizes, (world, model) =>
        {
            // Encoding the clips is a large part of the time on a GPU; on the CPU bfloat16 is slower.
            var vae = ModelFiles.LoadVae(folder, sizes.Others.Vae, model.Device.type == TorchSharp.DeviceType.CUDA ? model : model.Float32);
            return new DitTrainer(sizes, DitTrainingOptions.Of(plan) with { From = start }, new LivelyClips(world), vae, tokenizer, model);
        }, cancellation);
    }

    // The folder with the weights to begin with. A training that leaves an encoder as it is has no more than the rest in its state.
    private string? Start(ParseResult parsed, TrainingPlan plan, string folder) =>
        parsed.GetValue(_from) is { } from ? from
        : !plan.FrozenEncoder ? null
        : parsed.GetValue(_resume) ? folder
        : throw new InvalidRequestException("--freeze-encoder needs --from: there is no encoder yet");

    // Whose latents a new transformer learns: a preset's that has a VAE, or those of the weights to begin with. Null: the output's own.
    private string? VaeFolder(ParseResult parsed) =>
        parsed.GetValue(_preset) is { } preset && File.Exists(ModelFiles.Vae(preset)) ? preset : parsed.GetValue(_from);

    // The vocabulary is that of the weights to begin with.
    private UmT5Tokenizer PlaceTokenizer(ParseResult parsed, string folder) => ModelFiles.PlaceTokenizer(
        folder,
        parsed.GetValue(_tokenizer)
            ?? (parsed.GetValue(_from) is { } from && File.Exists(ModelFiles.Tokenizer(from)) ? ModelFiles.Tokenizer(from) : ModelLocator.InTheBox(WanVideoModel.TokenizerFile)));

    private int Train(
        ParseResult parsed, TrainingPlan plan, TrainingFolder files, ModelSizes sizes, Func<ShapeWorld, ModuleOptions, ITrainer> make,
        CancellationToken cancellation)
    {
        var clock = Stopwatch.StartNew();
        var limits = new RunLimits
        {
            Steps = plan.Steps,
            Time = Minutes(parsed),
            Anneals = parsed.GetValue(_anneal),
            Clock = clock,
            PictureEvery = parsed.GetValue(_pictures) is >= 0 and var every ? every : throw new InvalidRequestException("pictures must be 0 or more"),
        };
        TorchRuntime.LoadForTraining();
        var device = DeviceChoice.Resolve(parsed.GetValue(_device)!);
        var model = new ModuleOptions(device, DeviceChoice.ResolveDtype(parsed.GetValue(_dtype)!, device));
        using var world = new ShapeWorld(WorldSplit.Training, (ulong)plan.Seed);
        using var trainer = make(world, model);
        if (parsed.GetValue(_resume))
        {
            trainer.Resume(files.State);
        }

        var folder = parsed.GetValue(_output)!;
        sizes.Save(folder);
        plan.Save(files.Plan);
        TrainingReport.Run(trainer.Name, progress =>
        {
            new TrainingRun(trainer, folder, progress).Train(limits, cancellation);
            return ExitCode.Done;
        });
        return File.Exists(files.State)
            ? ExitCode.Done
            : throw new NablaGenException("no step was made, because the time was over before the first one: give more --minutes");
    }

    // The output's own once there are any: the parts of a model are made for one another.
    private ModelSizes Sizes(ParseResult parsed, string folder, bool widens = false)
    {
        var named = parsed.GetValue(_preset);
        if (parsed.GetValue(_from) is { } from)
        {
            if (parsed.GetValue(_resume) || (named is not null && !widens))
            {
                throw new InvalidRequestException(widens
                    ? "--from has no effect with --resume: the training goes on from its own state"
                    : "--from has no effect with --preset or --resume: weights and sizes are the folder's");
            }

            return named is not null ? ModelSizes.Find(named) : ModelSizes.Open(ModelSizes.IsIn(folder) ? folder : from);
        }

        if (!ModelSizes.IsIn(folder))
        {
            return ModelSizes.Find(named ?? "tiny");
        }

        // A training that was cut off before its first state has left sizes and no weights: the same command again is right.
        return named is null ? ModelSizes.Open(folder)
            : !TrainingFolder.HasWeights(folder) ? ModelSizes.Find(named)
            : throw new InvalidRequestException($"{folder} has its sizes already: use --preset with a new --output");
    }

    private ModelSizes OfTask(ParseResult parsed, ModelSizes sizes) => parsed.GetValue(_task) switch
    {
        null => sizes,
        _ when parsed.GetValue(_resume) => throw new InvalidRequestException("--task has no effect with --resume: the training continues as it began"),
        var task => sizes.ForTask(task),
    };

    private TrainingPlan Plan(ParseResult parsed, TrainingFolder files, TrainingPlan preset)
    {
        var resume = parsed.GetValue(_resume);
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

        if (resume && parsed.GetValue(_freeze))
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
            Crop = parsed.GetValue(_crop) ?? plan.Crop,
            PoolClips = parsed.GetValue(_pool) ?? plan.PoolClips,
            PoolGroup = parsed.GetValue(_fresh) ?? plan.PoolGroup,
            Attention = parsed.GetValue(_attention) is { Length: > 0 } attentions ? attentions : plan.Attention,
            FrozenEncoder = parsed.GetValue(_freeze) || plan.FrozenEncoder,
            Seed = parsed.GetValue(_seed) ?? plan.Seed,
        };
    }

    private TimeSpan? Minutes(ParseResult parsed) => parsed.GetValue(_minutes) switch
    {
        null => null,
        > 0 and < 1e6 and var minutes => TimeSpan.FromMinutes(minutes),
        var minutes => throw new InvalidRequestException($"minutes must be above 0, found {minutes}"),
    };
}
