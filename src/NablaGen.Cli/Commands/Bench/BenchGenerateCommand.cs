using System.CommandLine;
using NablaGen.Denoising;
using NablaGen.Distributed;
using NablaGen.Generation;
using NablaGen.Jobs.Benchmarks;
using NablaGen.Models.Wan;
using NablaGen.Tensors;

namespace NablaGen.Cli.Commands.Bench;

/// <summary><c>nablagen bench generate</c>: times a whole generation by a model of random weights.</summary>
internal sealed class BenchGenerateCommand
{
    public const string Example = "bench generate --preset 1.3B --size 81x480x832 --attention dense nabla-0.7";

    private static readonly string[] Expressions = ["dense", "nabla-0.7", "nabla-0.4"];

    private const double GiB = 1 << 30;
    private const double MiB = 1 << 20;
    private const string Prompt = "A red fox runs across a snowy field at sunrise, the camera following it from the side, soft golden light";

    private readonly Option<string> _preset = BenchOptions.Preset();
    private readonly Option<string?> _size = new("--size")
    {
        Description = "Frames, rows and columns of the video, or rows, columns and frames [default: the preset's, 81x480x832 for Wan2.1's]",
        HelpName = "TxHxW",
    };

    private readonly Option<int?> _steps = new("--steps") { Description = "Solver steps [default: the preset's, 50 for Wan2.1's]", HelpName = "N" };
    private readonly Option<double?> _guidance = SharedOptions.Number("Guidance scale; 1 is one pass a step [default: the preset's]", "X", "--guidance");
    private readonly Option<string[]> _attention = BenchOptions.Attention(Expressions);
    private readonly Option<string[]> _caches = new("--step-cache")
    {
        Description = $"Step caches to time with each attention, as for generate; {StepCaches.None} is always timed, because the others are compared with it",
        HelpName = "NAME",
        AllowMultipleArgumentsPerToken = true,
        DefaultValueFactory = _ => [StepCaches.None],
        CompletionSources = { items => StepCaches.Names },
    };

    private readonly Option<string?> _json = BenchOptions.Json();
    private readonly Option<string> _device = SharedOptions.Device();
    private readonly Option<string> _dtype = SharedOptions.Dtype();
    private readonly PrecisionOptions _precision = new();
    private readonly Option<string?> _vram = SharedOptions.Vram();
    private readonly RankOptions _ranks = new();

    public static Command Create()
    {
        var self = new BenchGenerateCommand();
        var generate = new Command("generate", "Time a whole generation stage by stage, with random weights, from a picture where the preset needs one; no file is left.")
        {
            self._preset, self._size, self._steps, self._guidance, self._attention, self._caches, self._json, self._device, self._dtype, self._vram, self._ranks.Gpus,
        };
        self._precision.AddTo(generate);
        generate.SetAction((parsed, cancellation) => Task.FromResult(self.Run(parsed, cancellation)));
        return generate;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        var (dit, others) = BenchOptions.Sizes(parsed.GetValue(_preset)!);
        var defaults = GenerationDefaults.Of(others.Defaults);
        var (frames, height, width) = parsed.GetValue(_size) is { } size ? Size(size) : (defaults.Frames, defaults.Height, defaults.Width);
        var steps = parsed.GetValue(_steps) ?? defaults.Steps;
        var caches = Caches(parsed.GetValue(_caches)!);
        var requests = SharedOptions.Values(parsed, _attention, Expressions).Select(ThresholdFile.ParseExpression).SelectMany(attention => caches.Select(cache => new GenerationRequest
        {
            Prompt = Prompt,
            NegativePrompt = defaults.NegativePrompt,
            Attention = attention,
            DenseSteps = attention.DefaultDenseSteps,
            Width = width,
            Height = height,
            Frames = frames,
            Fps = defaults.Fps,
            Steps = steps,
            Solver = defaults.Solver,
            Shift = defaults.Shift,
            Guidance = parsed.GetValue(_guidance) ?? defaults.Guidance,
            Seed = 1,
            StepCache = cache,
        })).ToArray();
        dit = BenchOptions.WithLowRank(dit, [.. requests.Select(request => request.Attention)]);
        foreach (var request in requests)
        {
            request.Check(dit.Traits, others.Vae.Traits);
        }

        var tokenizer = ModelLocator.InTheBox(WanVideoModel.TokenizerFile)
            ?? throw new NablaGenException($"no tokenizer: expected models/tiny/{WanVideoModel.TokenizerFile} beside the program or above it");
        var ranks = _ranks.Read(parsed, _device);
        var report = BenchReport.Open(parsed, _json, isSilent: ranks is { IsHelper: true });
        using var picture = dit.GuideChannels > 0 ? new BenchPicture(width, height) : null;
        requests = [.. requests.Select(request => request with { Image = picture?.Source })];
        TorchRuntime.Load();
        var device = DeviceChoice.Resolve(parsed.GetValue(_device)!);
        var dtype = DeviceChoice.ResolveDtype(parsed.GetValue(_dtype)!, device);
        var model = _precision.Over(
            parsed, WanVideoModel.InMemory(dit, others with { Name = "random weights" }, tokenizer, RandomTensorSource.Steady), device, dtype);
        foreach (var note in model.Formats.Notes)
        {
            report.Line($"note: {note}");
        }

        using var bench = new GenerationBenchmark(
            model, device, dtype, DeviceChoice.ResolveVram(parsed.GetValue(_vram), device));
        report.Line($"{parsed.GetValue(_preset)}, {frames} frames of {width}x{height}, {steps} steps, guidance {requests[0].Guidance}, {model.Formats.Over(new ModuleOptions(device, dtype))}");
        var hasCaches = caches.Count > 1;
        report.Line($"{"attention",-22}{(hasCaches ? $"{"cache",-12}{"steps",6}{"PSNR",7}" : "")}{"tokens",8}{"density",9}{"text s",9}{(picture is null ? "" : $"{"image s",9}")}{"load s",9}{"DiT s",9}{"VAE s",9}{"all s",9}{"step ms",10}{"min",9}{"max",9}{"CPU ms",9}{"ahead",9}{"GiB",7}{"+MiB",7}");
        using var job = ranks?.Open(bench.Pipeline, null, cancellation, requests);
        if (ranks is { IsHelper: true })
        {
            return RankOptions.Help(job!, () => Each(job!.World.Size, requests, bench.Pipeline, (request, split) => bench.Assist(request, split, cancellation)), cancellation);
        }

        var measured = new List<GenerationTiming>();
        void Measure(GenerationRequest request, ICommunicator? world, RankSplit split)
        {
            var timing = bench.Run(request, world, split, cancellation);
            measured.Add(timing);
            report.Line(Row(timing, picture is not null, hasCaches));
        }

        RankOptions.Run(job, () =>
        {
            foreach (var request in requests)
            {
                Measure(request, null, default);
                var alone = measured[^1].StepMilliseconds;
                Each(job?.World.Size ?? 1, [request], bench.Pipeline, (one, split) =>
                {
                    Measure(one, job!.World, split);
                    report.Line($"    on {job.World.Size} GPUs, {split}: {alone / measured[^1].StepMilliseconds:0.00} times the steps of one; relative error of the latents {measured[^1].LatentError:0.0e+0}");
                });
            }

            return true;
        });
        report.Line("load: making the transformer's random weights. CPU: its time to launch a step. ahead: how far it is ahead of the device at a step's end.");
        if (hasCaches)
        {
            report.Line("steps: those that were computed. PSNR: of the latents to those of the same run without a cache, in dB, over their range; blank where equal. step ms: of all steps.");
        }

        report.Line("GiB: the most in use after any step or stage. +MiB: what the last step uses more than the second.");
        foreach (var bound in measured.Where(timing => timing.IsLaunchBound == true))
        {
            report.Line($"{bound.Attention} is launch-bound: the device waits for the CPU, which takes {bound.LaunchMilliseconds:0.0} ms a step");
        }

        report.Complete(measured);
        return ExitCode.Done;
    }

    // The split that a generation has and, where that is guidance on two, heads alone.
    private static void Each(int ranks, IReadOnlyList<GenerationRequest> requests, TextToVideo pipeline, Action<GenerationRequest, RankSplit> measure)
    {
        foreach (var request in ranks == 1 ? [] : requests)
        {
            var usual = RankSplit.Of(ranks, request.Sampling.Guidance, request.Sampling.GuidanceHigh, request.IsGuided);
            foreach (var split in new[] { usual, new RankSplit(1, ranks) }.Distinct())
            {
                pipeline.CheckSplit(request, ranks, split);
                measure(request, split);
            }
        }
    }

    // What the others are compared with comes first.
    private static List<string> Caches(IReadOnlyList<string> said)
    {
        foreach (var cache in said)
        {
            StepCaches.Check(cache);
        }

        return [StepCaches.None, .. said.Where(cache => cache != StepCaches.None).Distinct()];
    }

    private static string Row(GenerationTiming timing, bool hasPicture, bool hasCaches) =>
        $"{timing.Attention,-22}{(hasCaches ? $"{timing.StepCache,-12}{timing.ComputedSteps,6}{timing.LatentPsnr,7:0.0}" : "")}{timing.Tokens,8}{timing.Density,9:0.000}{timing.TextSeconds,9:0.00}{(hasPicture ? $"{timing.PictureSeconds,9:0.00}" : "")}{timing.LoadSeconds,9:0.00}{timing.SampleSeconds,9:0.00}"
        + $"{timing.DecodeSeconds,9:0.00}{timing.TotalSeconds,9:0.00}{timing.StepMilliseconds,10:0.0}{timing.FastestStep,9:0.0}{timing.SlowestStep,9:0.0}"
        + $"{timing.LaunchMilliseconds,9:0.0}{timing.AheadMilliseconds,9:0.0}{timing.PeakBytes / GiB,7:0.0}{timing.GrowthBytes / MiB,7:0}";

    // Frames are 4n + 1 and rows and columns even, so either order can be told.
    private static (int Frames, int Height, int Width) Size(string text) => BenchOptions.Sides(text) switch
    {
        [var frames, var height, var width] when frames % 2 == 1 => (frames, height, width),
        [var height, var width, var frames] when frames % 2 == 1 => (frames, height, width),
        _ => throw new InvalidRequestException($"size '{text}': expected frames (4n + 1), rows and columns such as 81x480x832"),
    };
}
