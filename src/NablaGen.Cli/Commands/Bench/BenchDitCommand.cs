using System.CommandLine;
using NablaGen.Attention;
using NablaGen.Cuda.Fused;
using NablaGen.Generation;
using NablaGen.Jobs.Benchmarks;
using NablaGen.Models;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Dit;
using NablaGen.Tensors;
using NablaGen.Tensors.Matrices;
using NablaGen.Training.Dit.Ops;
using TorchSharp;

namespace NablaGen.Cli.Commands.Bench;

/// <summary><c>nablagen bench dit</c>: times one pass through a transformer of random weights, or one training step.</summary>
internal sealed class BenchDitCommand
{
    public const string Example = "bench dit --preset 1.3B --latent 21x60x104 --attention dense nabla-0.3";

    private static readonly string[] Expressions = ["dense", "nabla-0.3", "nabla-0.15"];

    private const double GiB = 1 << 30;

    private readonly Option<string> _preset = BenchOptions.Preset();
    private readonly Option<int?> _layers = new("--layers") { Description = "Layers [default: the preset's]", HelpName = "N" };
    private readonly Option<string> _latent = new("--latent")
    {
        Description = "Latent frames, rows and columns: 21x60x104 is 81 frames of 832x480",
        HelpName = "TxHxW",
        DefaultValueFactory = _ => "21x60x104",
    };

    private readonly Option<string[]> _attention = BenchOptions.Attention(Expressions);
    private readonly Option<int> _repeats = BenchOptions.Repeats(5);
    private readonly Option<int> _batch = new("--batch") { Description = "Videos in a pass; 2 are as many as guidance's two passes in one", HelpName = "N", DefaultValueFactory = _ => 1 };
    private readonly Option<int?> _resident = new("--resident") { Description = "Layers that stay on the GPU; the others are streamed from the host [default: all]", HelpName = "N" };
    private readonly Option<bool> _profile = new("--profile") { Description = "Time each operation of a layer alone against the device's own rates, instead of whole passes" };
    private readonly Option<bool> _train = new("--train") { Description = "Time a training step: a forward pass and its gradients" };
    private readonly Option<string?> _json = BenchOptions.Json();
    private readonly Option<string> _device = SharedOptions.Device();
    private readonly Option<string> _dtype = SharedOptions.Dtype();
    private readonly PrecisionOptions _precision = new();
    private readonly Option<string?> _stored = new("--stored")
    {
        Description = $"Keep matrices in this form of a file and expand them for each product, as --weights resident does: {string.Join(", ", ExpandNumbers.Formats)}",
        HelpName = "FORMAT",
    };

    public static Command Create()
    {
        var self = new BenchDitCommand();
        var dit = new Command("dit", "Time one pass through the transformer, with random weights.")
        {
            self._preset, self._layers, self._latent, self._attention, self._repeats, self._batch, self._resident, self._train, self._profile, self._json, self._device, self._dtype,
        };
        self._precision.AddTo(dit);
        dit.Add(self._stored);
        dit.SetAction((parsed, cancellation) => Task.FromResult(self.Run(parsed, cancellation)));
        return dit;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        var config = BenchOptions.Sizes(parsed.GetValue(_preset)!).Dit;
        config = config with { NumLayers = BenchOptions.Positive(parsed.GetValue(_layers) ?? config.NumLayers, "layers") };
        var latent = Latent(parsed.GetValue(_latent)!, config);
        var expressions = SharedOptions.Values(parsed, _attention, Expressions).Select(ThresholdFile.ParseExpression).ToArray();
        var repeats = BenchOptions.Positive(parsed.GetValue(_repeats), "repeats");
        config = BenchOptions.WithLowRank(config, expressions);

        var batch = BenchOptions.Positive(parsed.GetValue(_batch), "batch");
        var resident = parsed.GetValue(_resident);

        var training = parsed.GetValue(_train);
        var profile = parsed.GetValue(_profile);
        if (profile && (training || resident is not null || batch > 1))
        {
            throw new InvalidRequestException("--train, --resident and --batch have no effect with --profile: it times single operations");
        }

        var report = BenchReport.Open(parsed, _json);
        TorchRuntime.Load();
        var device = DeviceChoice.Resolve(parsed.GetValue(_device)!);
        var options = new ModuleOptions(device, DeviceChoice.ResolveDtype(parsed.GetValue(_dtype)!, device));
        if (resident is { } count && (device.type != DeviceType.CUDA || count < 0 || count >= config.NumLayers))
        {
            throw new InvalidRequestException($"--resident: expected 0 to {config.NumLayers - 1} of the {config.NumLayers} layers, on a CUDA device; found {count} on {device}");
        }

        if (training && config.LowRank > 0)
        {
            throw new InvalidRequestException("--train: sparse + low-rank attention has no gradient here");
        }

        if (training && resident is not null)
        {
            throw new InvalidRequestException("--resident has no effect with --train: training keeps every layer on the device");
        }

        var stored = parsed.GetValue(_stored);
        if (stored is not null && (!ExpandNumbers.Formats.Contains(stored) || profile || device.type != DeviceType.CUDA))
        {
            throw new InvalidRequestException($"--stored '{stored}': expected one of {string.Join(", ", ExpandNumbers.Formats)}, on a CUDA device, without --profile");
        }

        var formats = _precision.Formats(parsed, config.Traits, device, options.Dtype, stored is not null);
        if (training && (formats.Matrices != MatrixFormats.Dense || formats.EightBitAttention))
        {
            throw new InvalidRequestException("--precision and --attention-precision have no effect with --train: training is in 16 or 32 bits");
        }

        if (profile && formats.HasPlainEnds)
        {
            throw new InvalidRequestException($"--profile times one kind of layer, and --precision {PrecisionChoice.Fp8Inner} has two: use {PrecisionChoice.Fp8}");
        }

        var model = WanVideoModel.InMemory(config, BenchOptions.Sizes(parsed.GetValue(_preset)!).Others with { Boundary = null }, tokenizer: null, (part, shapes) => stored is null
            ? RandomTensorSource.Normal(part, shapes) : new StoredNoise(RandomTensorSource.Normal(part, shapes), stored)).WithFormats(formats);
        foreach (var note in formats.Notes)
        {
            report.Line($"note: {note}");
        }

        if (profile)
        {
            var title = $"{parsed.GetValue(_preset)}, {config.NumLayers} layers, latent {parsed.GetValue(_latent)}, {formats.Over(options)}";
            return Profile(report, title, model, latent, expressions, options, repeats, cancellation);
        }

        var timings = DitBenchmark.Run(
            model, latent, expressions, options, repeats, batch, resident, training ? DitTrainingOps.Pass : null, cancellation);
        report.Line($"{parsed.GetValue(_preset)}, {config.NumLayers} layers, latent {parsed.GetValue(_latent)}, batch {batch}, {(resident is { } kept ? $"{kept} layers resident, " : "")}{formats.Over(options)}{(training ? ", training step" : "")}");
        report.Line($"{"attention",-22}{"tokens",8}{"density",9}{"median ms",11}{"min",9}{"max",9}{"GiB",7}{"model",7}");
        var measured = new List<DitTiming>();
        foreach (var timing in timings)
        {
            measured.Add(timing);
            report.Line(
                $"{timing.Attention,-22}{timing.Tokens,8}{timing.Density,9:0.000}{timing.Milliseconds,11:0.0}{timing.Fastest,9:0.0}{timing.Slowest,9:0.0}{timing.MemoryBytes / GiB,7:0.0}{(timing.MemoryBytes - timing.BytesBefore) / GiB,7:0.0}");
        }

        report.Line("GiB: in use on the device at the peak. model: without what was in use before the model was made, such as the device's context.");
        report.Complete(measured);
        return ExitCode.Done;
    }

    // Where the time of a pass goes.
    private static int Profile(
        BenchReport report, string title, VideoModel model, (int Frames, int Height, int Width) latent, AttentionExpression[] expressions,
        ModuleOptions options, int repeats, CancellationToken cancellation)
    {
        report.Line(title);
        var profiles = new List<object>();
        foreach (var expression in expressions)
        {
            cancellation.ThrowIfCancellationRequested();
            var operations = DitProfile.Run(model, latent, expression, options, repeats);
            profiles.Add(new { Attention = expression.ToString(), Operations = operations });
            report.Line("");
            report.Line($"{expression,-36}{"calls",6}{"ms each",10}{"ms a pass",11}{"floor",10}{"% of it",9}  limit");
            foreach (var (name, calls, milliseconds, floor, limit) in operations)
            {
                report.Line($"{name,-36}{calls,6}{milliseconds,10:0.000}{calls * milliseconds,11:0.0}{calls * floor,10:0.0}{100 * floor / milliseconds,9:0}  {limit}");
            }

            var (total, least) = (operations.Sum(operation => operation.Total), operations.Sum(operation => operation.TotalFloor));
            report.Line($"{"all",-52}{total,11:0.0}{least,10:0.0}{100 * least / total,9:0}");
        }

        report.Complete(profiles);
        return ExitCode.Done;
    }

    private static (int Frames, int Height, int Width) Latent(string text, DitConfig config) =>
        BenchOptions.Sides(text) is [var frames, var height, var width] && height % config.PatchSize.Height == 0 && width % config.PatchSize.Width == 0
            ? (frames, height, width)
            : throw new InvalidRequestException($"latent '{text}': expected frames, rows and columns such as 21x60x104, rows and columns even");
}
