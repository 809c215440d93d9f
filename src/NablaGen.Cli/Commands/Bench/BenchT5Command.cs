using System.CommandLine;
using NablaGen.Generation;
using NablaGen.Jobs.Benchmarks;
using NablaGen.Models.Wan.Text;
using NablaGen.Tensors;

namespace NablaGen.Cli.Commands.Bench;

/// <summary><c>nablagen bench t5</c>: times the encoding of a prompt with random weights.</summary>
internal sealed class BenchT5Command
{
    public const string Example = "bench t5 --tokens 512";

    private readonly Option<int> _tokens = new("--tokens") { Description = "Tokens of the prompt", HelpName = "N", DefaultValueFactory = _ => 512 };
    private readonly Option<int> _layers = new("--layers") { Description = "Layers", HelpName = "N", DefaultValueFactory = _ => TextEncoderConfig.UmT5Xxl.NumLayers };
    private readonly Option<int> _dim = new("--dim")
    {
        Description = "Width of the model, a multiple of 64; the feed-forward layer is 2.5 times as wide",
        HelpName = "N",
        DefaultValueFactory = _ => TextEncoderConfig.UmT5Xxl.Dim,
    };

    private readonly Option<int> _vocabulary = new("--vocab") { Description = "Rows of the embedding", HelpName = "N", DefaultValueFactory = _ => TextEncoderConfig.UmT5Xxl.Vocab };
    private readonly Option<int> _repeats = BenchOptions.Repeats(5);
    private readonly Option<string?> _json = BenchOptions.Json();
    private readonly Option<string> _device = SharedOptions.Device();
    private readonly Option<string> _dtype = SharedOptions.Dtype();

    public static Command Create()
    {
        var self = new BenchT5Command();
        var t5 = new Command("t5", "Time the encoding of a prompt by umT5-xxl or a smaller one, with random weights.")
        {
            self._tokens, self._layers, self._dim, self._vocabulary, self._repeats, self._json, self._device, self._dtype,
        };
        t5.SetAction((parsed, cancellation) => Task.FromResult(self.Run(parsed, cancellation)));
        return t5;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        const int headSize = 64;
        var dim = BenchOptions.Positive(parsed.GetValue(_dim), "dim");
        if (dim % headSize != 0)
        {
            throw new InvalidRequestException($"dim must be a multiple of {headSize}, found {dim}");
        }

        var config = TextEncoderConfig.UmT5Xxl with
        {
            Vocab = BenchOptions.Positive(parsed.GetValue(_vocabulary), "vocab"),
            Dim = dim,
            DimAttn = dim,
            DimFfn = dim * 5 / 2,
            NumHeads = dim / headSize,
            NumLayers = BenchOptions.Positive(parsed.GetValue(_layers), "layers"),
        };
        var tokens = BenchOptions.Positive(parsed.GetValue(_tokens), "tokens");
        var repeats = BenchOptions.Positive(parsed.GetValue(_repeats), "repeats");

        var report = BenchReport.Open(parsed, _json);
        TorchRuntime.Load();
        var device = DeviceChoice.Resolve(parsed.GetValue(_device)!);
        var options = new ModuleOptions(device, DeviceChoice.ResolveDtype(parsed.GetValue(_dtype)!, device));
        var timing = T5Benchmark.Run(config, tokens, options, repeats, cancellation);
        report.Line($"umT5, {config.NumLayers} layers of {dim}, {tokens} tokens, {timing.Dtype} on {device}");
        report.Line($"{"median ms",11}{"min",9}{"max",9}{"GiB",7}");
        report.Line($"{timing.Milliseconds,11:0.0}{timing.Fastest,9:0.0}{timing.Slowest,9:0.0}{timing.MemoryBytes / 1073741824.0,7:0.0}");
        report.Complete(timing);
        return ExitCode.Done;
    }
}
