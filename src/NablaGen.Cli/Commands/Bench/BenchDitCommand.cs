using System.CommandLine;
using System.Text.Json;
using NablaGen.Attention;
using NablaGen.Measurement;
using NablaGen.Models;
using NablaGen.Models.Dit;
using NablaGen.Native;
using NablaGen.Pipeline;
using TorchSharp;

namespace NablaGen.Cli.Commands.Bench;

/// <summary><c>nablagen bench dit</c>: times one pass through a transformer of random weights, or one training step.</summary>
internal sealed class BenchDitCommand
{
    public const string Example = "bench dit --preset 1.3B --latent 21x60x104 --attention dense nabla-0.3";

    private readonly Option<string> _preset = new("--preset") { Description = "Sizes of the transformer: 1.3B, 14B or tiny (256 wide, 7 layers)", HelpName = "NAME", DefaultValueFactory = _ => "1.3B" };
    private readonly Option<int?> _layers = new("--layers") { Description = "Blocks [default: the preset's]", HelpName = "N" };
    private readonly Option<string> _latent = new("--latent")
    {
        Description = "Latent frames, rows and columns: 21x60x104 is 81 frames of 832x480",
        HelpName = "TxHxW",
        DefaultValueFactory = _ => "21x60x104",
    };

    private readonly Option<string[]> _attention = new("--attention")
    {
        Description = "Expressions to time",
        HelpName = "EXPR",
        AllowMultipleArgumentsPerToken = true,
        DefaultValueFactory = _ => ["dense", "nabla-0.3", "nabla-0.15"],
    };

    private readonly Option<int> _repeats = BenchOptions.Repeats(5);
    private readonly Option<int> _batch = new("--batch") { Description = "Videos in a pass; 2 is guidance's two passes as one", HelpName = "N", DefaultValueFactory = _ => 1 };
    private readonly Option<int?> _resident = new("--resident") { Description = "Blocks that stay on the GPU, the others being streamed from the host [default: all]", HelpName = "N" };
    private readonly Option<bool> _train = new("--train") { Description = "Time a training step: a pass and its gradients" };
    private readonly Option<bool> _json = BenchOptions.Json();
    private readonly Option<string> _device = SharedOptions.Device();
    private readonly Option<string> _dtype = SharedOptions.Dtype();

    public static Command Create()
    {
        var self = new BenchDitCommand();
        var dit = new Command("dit", "Time one pass through the transformer, with random weights.")
        {
            self._preset, self._layers, self._latent, self._attention, self._repeats, self._batch, self._resident, self._train, self._json, self._device, self._dtype,
        };
        dit.SetAction((parsed, cancellation) => Task.FromResult(self.Run(parsed, cancellation)));
        return dit;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        var config = parsed.GetValue(_preset) switch
        {
            "1.3B" => DitConfig.Wan1_3B,
            "14B" => DitConfig.Wan14B,
            "tiny" => new DitConfig { Dim = 256, FfnDim = 832, NumHeads = 4, NumLayers = 7, TextDim = 128, TextLen = 64, InDim = 8, OutDim = 8 },
            var other => throw new InvalidRequestException($"preset '{other}' is not known: use 1.3B, 14B or tiny"),
        };
        config = config with { NumLayers = BenchOptions.Positive(parsed.GetValue(_layers) ?? config.NumLayers, "layers") };
        var latent = Latent(parsed.GetValue(_latent)!, config);
        var expressions = parsed.GetValue(_attention)!.Select(AttentionExpression.Parse).ToArray();
        var repeats = BenchOptions.Positive(parsed.GetValue(_repeats), "repeats");

        var batch = BenchOptions.Positive(parsed.GetValue(_batch), "batch");
        var resident = parsed.GetValue(_resident);

        var training = parsed.GetValue(_train);

        TorchRuntime.Load();
        var device = DeviceChoice.Resolve(parsed.GetValue(_device)!);
        var options = new ModuleOptions(device, DeviceChoice.ResolveDtype(parsed.GetValue(_dtype)!, device));
        if (resident is { } count && (device.type != DeviceType.CUDA || count < 0 || count >= config.NumLayers))
        {
            throw new InvalidRequestException($"--resident: only blocks on CUDA can be streamed, and of {config.NumLayers} from 0 to {config.NumLayers - 1} can stay; found {count} on {device}");
        }

        if (training && resident is not null)
        {
            throw new InvalidRequestException("--resident has no effect with --train: training keeps every block on the device");
        }

        var timings = DitBenchmark.Run(
            config, latent, expressions, options, repeats, batch, resident, training ? () => new TorchPasses() : null, cancellation);
        if (parsed.GetValue(_json))
        {
            Console.WriteLine(JsonSerializer.Serialize(timings, Recipe.Json));
            return ExitCode.Done;
        }

        Console.WriteLine($"{parsed.GetValue(_preset)}, {config.NumLayers} layers, latent {parsed.GetValue(_latent)}, batch {batch}, {(resident is { } kept ? $"{kept} layers resident, " : "")}{options.Dtype.ToString().ToLowerInvariant()} on {device}{(training ? ", training step" : "")}");
        Console.WriteLine($"{"attention",-22}{"tokens",8}{"density",9}{"median ms",11}{"min",9}{"max",9}{"GiB",7}");
        foreach (var timing in timings)
        {
            Console.WriteLine(
                $"{timing.Attention,-22}{timing.Tokens,8}{timing.Density,9:0.000}{timing.Milliseconds,11:0.0}{timing.Fastest,9:0.0}{timing.Slowest,9:0.0}{timing.MemoryBytes / 1073741824.0,7:0.0}");
        }

        return ExitCode.Done;
    }

    private static (int Frames, int Height, int Width) Latent(string text, DitConfig config) =>
        BenchOptions.Sides(text) is [var frames, var height, var width] && height % config.PatchSize.Height == 0 && width % config.PatchSize.Width == 0
            ? (frames, height, width)
            : throw new InvalidRequestException($"latent '{text}': expected frames, rows and columns such as 21x60x104, rows and columns even");
}
