using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using NablaGen.Attention;
using NablaGen.Measurement;
using NablaGen.Models;
using NablaGen.Models.Dit;
using NablaGen.Native;
using NablaGen.Pipeline;

namespace NablaGen.Cli.Commands;

/// <summary><c>nablagen bench dit</c>: times one pass through a transformer of random weights, or one training step.</summary>
internal sealed class BenchCommand
{
    public const string Example = "bench dit --preset 1.3B --latent 21x60x104 --attention dense nabla-0.3";

    private readonly Option<string> _preset = new("--preset") { Description = "Sizes of the transformer: 1.3B or 14B", HelpName = "NAME", DefaultValueFactory = _ => "1.3B" };
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

    private readonly Option<int> _repeats = new("--repeats") { Description = "Timed passes; the median counts", HelpName = "N", DefaultValueFactory = _ => 5 };
    private readonly Option<bool> _train = new("--train") { Description = "Time a training step: a pass and its gradients" };
    private readonly Option<bool> _json = new("--json") { Description = "Print JSON" };
    private readonly Option<string> _device = SharedOptions.Device();
    private readonly Option<string> _dtype = SharedOptions.Dtype();

    public static Command Create()
    {
        var self = new BenchCommand();
        var dit = new Command("dit", "Time one pass through the transformer, with random weights.")
        {
            self._preset, self._layers, self._latent, self._attention, self._repeats, self._train, self._json, self._device, self._dtype,
        };
        dit.SetAction((parsed, cancellation) => Task.FromResult(self.Run(parsed, cancellation)));
        return new Command("bench", "Measure this machine.") { dit };
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        var config = parsed.GetValue(_preset) switch
        {
            "1.3B" => DitConfig.Wan1_3B,
            "14B" => DitConfig.Wan14B,
            var other => throw new InvalidRequestException($"preset '{other}' is not known: use 1.3B or 14B"),
        };
        config = config with { NumLayers = Positive(parsed.GetValue(_layers) ?? config.NumLayers, "layers") };
        var latent = Latent(parsed.GetValue(_latent)!, config);
        var expressions = parsed.GetValue(_attention)!.Select(AttentionExpression.Parse).ToArray();
        var repeats = Positive(parsed.GetValue(_repeats), "repeats");

        var training = parsed.GetValue(_train);

        TorchRuntime.Load();
        var device = DeviceChoice.Resolve(parsed.GetValue(_device)!);
        var options = new ModuleOptions(device, DeviceChoice.ResolveDtype(parsed.GetValue(_dtype)!, device));
        var timings = DitBenchmark.Run(config, latent, expressions, options, repeats, training ? () => new TorchPasses() : null, cancellation);
        if (parsed.GetValue(_json))
        {
            Console.WriteLine(JsonSerializer.Serialize(timings, Recipe.Json));
            return ExitCode.Done;
        }

        Console.WriteLine($"{parsed.GetValue(_preset)}, {config.NumLayers} layers, latent {parsed.GetValue(_latent)}, {options.Dtype.ToString().ToLowerInvariant()} on {device}{(training ? ", training step" : "")}");
        Console.WriteLine($"{"attention",-22}{"tokens",8}{"density",9}{"median ms",11}{"min",9}{"max",9}{"GiB",7}");
        foreach (var timing in timings)
        {
            Console.WriteLine(
                $"{timing.Attention,-22}{timing.Tokens,8}{timing.Density,9:0.000}{timing.Milliseconds,11:0.0}{timing.Fastest,9:0.0}{timing.Slowest,9:0.0}{timing.MemoryBytes / 1073741824.0,7:0.0}");
        }

        return ExitCode.Done;
    }

    private static (int Frames, int Height, int Width) Latent(string text, DitConfig config)
    {
        var sides = text.Split('x').Select(side => int.TryParse(side, NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : 0).ToArray();
        return sides is [> 0, > 0, > 0] && sides[1] % config.PatchSize.Height == 0 && sides[2] % config.PatchSize.Width == 0
            ? (sides[0], sides[1], sides[2])
            : throw new InvalidRequestException($"latent '{text}': expected frames, rows and columns such as 21x60x104, rows and columns even");
    }

    private static int Positive(int value, string name) =>
        value >= 1 ? value : throw new InvalidRequestException($"{name} must be 1 or more, found {value}");
}
