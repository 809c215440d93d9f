using System.CommandLine;
using System.Diagnostics;
using NablaGen.Cli.Output;
using NablaGen.Generation;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Text.Tokenizer;
using NablaGen.Tensors;
using NablaGen.Training.Dit;
using NablaGen.Training.Models;
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

    private readonly TrainingOptions _options = new();

    public static Command Create()
    {
        var vae = new TrainCommand();
        vae._options.From.Description = "Begin with the weights of this model folder instead of drawn ones; with --preset they become the first channels of a wider VAE";
        vae._options.FreezeEncoder.Description = "Train the decoder alone: a transformer that was trained on the encoder's latents still fits";
        var vaeCommand = new Command("vae", "Train the VAE, which comes first.") { vae._options.Crop, vae._options.FreezeEncoder };
        Add(vaeCommand, vae._options.Shared, vae._options.OfClips);
        vaeCommand.SetAction((parsed, cancellation) => Task.FromResult(vae.RunVae(parsed, cancellation)));

        var text = new TrainCommand();
        var textCommand = new Command("text", "Train the text encoder on captions alone: which shape, colour and motion belong to which object.") { text._options.Tokenizer };
        Add(textCommand, text._options.Shared);
        textCommand.SetAction((parsed, cancellation) => Task.FromResult(text.RunText(parsed, cancellation)));

        var dit = new TrainCommand();
        dit._options.From.Description = "Begin with the weights of this model folder instead of drawn ones; with --preset they may have fewer latent channels";
        dit._options.FreezeEncoder.Description = "Train the transformer alone, with the text encoder of --from as it is";
        dit._options.Ranks.Gpus.Description = "GPUs that train together, a number or all, each with --batch clips a step of its own [default: 1]";
        var ditCommand = new Command("dit", "Train the transformer and the text encoder, on the latents of the output's VAE.") { dit._options.Task, dit._options.Attention, dit._options.NoiseShift, dit._options.NoiseSpread, dit._options.Tokenizer, dit._options.FreezeEncoder, dit._options.Ranks.Gpus };
        Add(ditCommand, dit._options.Shared, dit._options.OfClips);
        ditCommand.SetAction((parsed, cancellation) => Task.FromResult(dit.RunDit(parsed, cancellation)));
        return new Command("train", "Train a model on rendered, captioned clips, in runs of any length.") { vaeCommand, textCommand, ditCommand, TrainPreviewCommand.Create() };
    }

    private static void Add(Command command, params IEnumerable<Option>[] options)
    {
        foreach (var option in options.SelectMany(some => some))
        {
            command.Add(option);
        }
    }

    private int RunVae(ParseResult parsed, CancellationToken cancellation)
    {
        var folder = parsed.GetValue(_options.Output)!;
        var files = new TrainingFolder(folder, "vae");
        var sizes = Sizes(parsed, folder, widens: true);
        var plan = _options.Plan(parsed, files, TrainingPlan.ForVae(sizes));
        if (parsed.GetValue(_options.From) is not null)
        {
            // It already gives clips back: what is left is their worst frames.
            plan = plan with { FrameWeight = 12 };
        }

        plan.Check(sizes);
        var from = Start(parsed, plan, folder);
        return Train(parsed, plan, files, sizes, Read(parsed, plan), (world, model) => new VaeTrainer(sizes, VaeTrainingOptions.Of(plan) with { From = from }, new HardClips(world), model), cancellation);
    }

    private int RunText(ParseResult parsed, CancellationToken cancellation)
    {
        var folder = parsed.GetValue(_options.Output)!;
        var files = new TrainingFolder(folder, "text");
        var sizes = Sizes(parsed, folder);
        var plan = _options.Plan(parsed, files, TrainingPlan.ForText(sizes));
        plan.Check(sizes);
        var setup = Read(parsed, plan);
        var tokenizer = PlaceTokenizer(parsed, folder);
        sizes = sizes.WithVocabulary(tokenizer.VocabularySize);
        var from = parsed.GetValue(_options.From);
        if (from is not null)
        {
            // A whole model again, for train dit --from.
            ModelFiles.CopyDit(from, folder);
            ModelFiles.CopyVae(from, folder);
        }

        return Train(parsed, plan, files, sizes, setup,
            (world, model) => new TextTrainer(sizes, TextTrainingOptions.Of(plan) with { From = from }, world, tokenizer, model), cancellation);
    }

    private int RunDit(ParseResult parsed, CancellationToken cancellation)
    {
        var folder = parsed.GetValue(_options.Output)!;
        var files = new TrainingFolder(folder, "dit");
        var sizes = OfTask(parsed, Sizes(parsed, folder, widens: true));
        var plan = _options.Plan(parsed, files, TrainingPlan.ForDit(sizes));
        plan = plan with { FrozenEncoder = plan.FrozenEncoder || (sizes.Dit.GuideChannels > 0 && parsed.GetValue(_options.From) is not null) };
        plan.Check(sizes);
        if (parsed.GetValue(_options.From) is null && !parsed.GetValue(_options.Resume) && File.Exists(new TrainingFolder(folder, "text").State))
        {
            throw new InvalidRequestException($"{folder} has a text encoder that train text trained, and this would start it from random weights: use train dit --from {folder} --output ANOTHER");
        }

        var start = Start(parsed, plan, folder);
        var setup = Read(parsed, plan);
        var tokenizer = PlaceTokenizer(parsed, folder);
        sizes = sizes.WithVocabulary(tokenizer.VocabularySize);
        if (VaeFolder(parsed) is { } latents)
        {
            ModelFiles.CopyVae(latents, folder);
        }

        return Train(parsed, plan, files, sizes, setup, (world, model) =>
        {
            // Encoding the clips is a large part of the time on a GPU; on the CPU bfloat16 is slower.
            var vae = ModelFiles.LoadVae(folder, sizes.Others.Vae, model.Device.type == TorchSharp.DeviceType.CUDA ? model : model.Float32);
            return new DitTrainer(sizes, DitTrainingOptions.Of(plan) with { From = start }, new HardClips(world), vae, tokenizer, model);
        }, cancellation);
    }

    // The folder with the weights to begin with. A training that leaves an encoder as it is has no more than the rest in its state.
    private string? Start(ParseResult parsed, TrainingPlan plan, string folder) =>
        parsed.GetValue(_options.From) is { } from ? from
        : !plan.FrozenEncoder ? null
        : parsed.GetValue(_options.Resume) ? folder
        : throw new InvalidRequestException("--freeze-encoder needs --from: there is no encoder yet");

    // Whose latents a new transformer learns: a preset's that has a VAE, or those of the weights to begin with. Null: the output's own.
    private string? VaeFolder(ParseResult parsed) =>
        parsed.GetValue(_options.Preset) is { } preset && File.Exists(ModelFiles.Vae(preset)) ? preset : parsed.GetValue(_options.From);

    // The vocabulary is that of the weights to begin with.
    private UmT5Tokenizer PlaceTokenizer(ParseResult parsed, string folder) => ModelFiles.PlaceTokenizer(
        folder,
        parsed.GetValue(_options.Tokenizer)
            ?? (parsed.GetValue(_options.From) is { } from && File.Exists(ModelFiles.Tokenizer(from)) ? ModelFiles.Tokenizer(from) : ModelLocator.InTheBox(WanVideoModel.TokenizerFile)));

    // What may still be refused: before the output folder gets its first file.
    private Setup Read(ParseResult parsed, TrainingPlan plan)
    {
        var limits = _options.Limits(parsed, plan, Stopwatch.StartNew());
        var ranks = _options.Ranks.Read(parsed, _options.Device);
        TorchRuntime.LoadForTraining();
        var device = DeviceChoice.Resolve(parsed.GetValue(_options.Device)!);
        _ = ranks?.CountOn(device);
        return new Setup(limits, ranks, new ModuleOptions(device, DeviceChoice.ResolveDtype(parsed.GetValue(_options.Dtype)!, device)));
    }

    private int Train(
        ParseResult parsed, TrainingPlan plan, TrainingFolder files, ModelSizes sizes, Setup setup, Func<ShapeWorld, ModuleOptions, OptimizedTrainer> make,
        CancellationToken cancellation)
    {
        var (limits, ranks, model) = setup;
        // An interruption ends no exchange: rank 0 looks for it between steps, saves, and lets the others go.
        using var job = ranks?.Open(model.Device, null, CancellationToken.None);
        using var world = new ShapeWorld(WorldSplit.Training, (ulong)(plan.Seed + StepRandom.OfRank(job?.World.Rank ?? 0)));
        using var trainer = make(world, model);
        if (parsed.GetValue(_options.Resume))
        {
            trainer.Resume(files.State);
        }

        if (ranks is { IsHelper: true })
        {
            return RankOptions.Help(job!, () => RankedTrainer.Follow(trainer, job!.World, CancellationToken.None), cancellation);
        }

        var folder = parsed.GetValue(_options.Output)!;
        sizes.Save(folder);
        plan.Save(files.Plan);
        TrainingReport.Run(trainer.Name, progress => RankOptions.Run(job, () =>
        {
            var ranked = job is null ? null : new RankedTrainer(trainer, job.World);
            new TrainingRun(ranked ?? (ITrainer)trainer, folder, progress).Train(limits, cancellation);
            ranked?.Complete();
            return ExitCode.Done;
        }));
        return File.Exists(files.State)
            ? ExitCode.Done
            : throw new NablaGenException("no step was made, because the time was over before the first one: give more --minutes");
    }

    // The output's own once there are any: the parts of a model are made for one another.
    private ModelSizes Sizes(ParseResult parsed, string folder, bool widens = false)
    {
        var named = parsed.GetValue(_options.Preset);
        if (parsed.GetValue(_options.From) is { } from)
        {
            if (parsed.GetValue(_options.Resume) || (named is not null && !widens))
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

    private ModelSizes OfTask(ParseResult parsed, ModelSizes sizes) => parsed.GetValue(_options.Task) switch
    {
        null => sizes,
        _ when parsed.GetValue(_options.Resume) => throw new InvalidRequestException("--task has no effect with --resume: the training continues as it began"),
        var task => sizes.ForTask(task),
    };

    private sealed record Setup(RunLimits Limits, RankChoice? Ranks, ModuleOptions Model);
}
