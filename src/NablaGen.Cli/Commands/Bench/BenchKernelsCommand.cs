using System.CommandLine;
using NablaGen.Cuda.Benchmarks;
using NablaGen.Cuda.Device;
using NablaGen.Tensors;

namespace NablaGen.Cli.Commands.Bench;

/// <summary><c>nablagen bench kernels</c>: times each of our CUDA kernels against its floor.</summary>
internal sealed class BenchKernelsCommand
{
    public const string Example = "bench kernels --only block_attention_sm90";

    private static readonly BenchShape[] Shapes = [BenchShape.Wan14B, BenchShape.Wan1B];

    private readonly Option<string?> _only = new("--only") { Description = "One kernel [default: all]", HelpName = "NAME" };
    private readonly Option<string[]> _preset = new("--preset")
    {
        Description = "Model whose sizes to use: 14B (40 heads, 1,050 blocks of 64 tokens), 1.3B (12 heads, 378 blocks) [default: both]",
        HelpName = "NAME",
        AllowMultipleArgumentsPerToken = true,
    };

    private readonly Option<string?> _masks = new("--masks") { Description = "Also write the masks into this folder, as NumPy arrays [heads, blocks, blocks], so that another program can time the same masks", HelpName = "DIR" };
    private readonly Option<int> _repeats = BenchOptions.Repeats(5);
    private readonly Option<string?> _json = BenchOptions.Json();

    private BenchKernelsCommand() => _only.CompletionSources.Add([.. KernelBench.Names]);

    public static Command Create()
    {
        var self = new BenchKernelsCommand();
        var kernels = new Command("kernels", "Time each CUDA kernel against the best that the device can do.")
        {
            self._only, self._preset, self._masks, self._repeats, self._json,
        };
        kernels.SetAction((parsed, cancellation) => Task.FromResult(self.Run(parsed, cancellation)));
        return kernels;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        var only = parsed.GetValue(_only);
        if (only is not null && !KernelBench.Names.Contains(only))
        {
            throw new InvalidRequestException($"kernel '{only}' is not known: use one of {string.Join(", ", KernelBench.Names)}");
        }

        var shapes = SharedOptions.Values(parsed, _preset, [.. Shapes.Select(shape => shape.Name)]).Distinct().Select(name => Shapes.Any(shape => shape.Name == name)
            ? Shapes.Single(shape => shape.Name == name)
            : throw new InvalidRequestException($"preset '{name}' is not known: use 14B or 1.3B")).ToArray();
        var repeats = BenchOptions.Positive(parsed.GetValue(_repeats), "repeats");
        var report = BenchReport.Open(parsed, _json);
        if (!CudaDevice.IsAvailable(out var reason))
        {
            throw new NablaGenException($"bench kernels needs a CUDA device: {reason}");
        }

        // Before the minutes of timing.
        var masks = parsed.GetValue(_masks);
        if (masks is not null)
        {
            MakeFolder(masks);
        }

        // It brings the cuBLASLt that the floor of products is measured with.
        TorchRuntime.Load();
        var device = CudaDevice.Open();
        var rates = DeviceRates.Measure(device, repeats);
        report.Line($"{device.Name}, {device.Compiler}");
        report.Line($"floors: {(rates.TeraFlops is { } flops ? $"products {flops:0} TFLOP/s (cuBLASLt), " : "products unknown (no cuBLASLt), ")}memory {rates.TeraBytes:0.00} TB/s (copy)");
        report.Line($"{"kernel",-31}{"shape",-6}{"on",-38}{"median ms",10}{"min",9}{"max",9}{"rate",15}{"floor ms",10}{"% of it",9}");
        var times = new List<KernelTime>();
        foreach (var time in KernelBench.Run(device, shapes, rates, repeats, only, cancellation: cancellation))
        {
            times.Add(time);
            report.Line(Row(time));
        }

        if (masks is not null)
        {
            foreach (var path in KernelBench.SaveMasks(device, shapes, masks, cancellation))
            {
                report.Line($"mask      {path}");
            }
        }

        report.Complete(new { Device = device.Name, device.Compiler, Rates = rates, Kernels = times });
        var failed = times.Where(time => time.Error is not null).Select(time => time.Kernel).Distinct().ToArray();
        return failed.Length == 0
            ? ExitCode.Done
            : throw new NablaGenException($"{failed.Length} of {times.Select(time => time.Kernel).Distinct().Count()} kernels failed: {string.Join(", ", failed)}");
    }

    private static void MakeFolder(string path)
    {
        try
        {
            Directory.CreateDirectory(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new NablaGenException($"{path}: the folder cannot be made: {error.Message}", error);
        }
    }

    private static string Row(KernelTime time)
    {
        var what = $"{time.Kernel,-31}{time.Shape,-6}{time.Case,-38}";
        return (time.Error ?? time.Skipped) is { } problem
            ? $"{what}  {(time.Error is null ? "skipped" : "failed")}: {problem.ReplaceLineEndings(" ")}"
            : $"{what}{time.Milliseconds,10:0.000}{time.Fastest,9:0.000}{time.Slowest,9:0.000}{time.Rate,7:0.00} {time.Unit,-7}{time.Floor,10:0.000}{time.PercentOfFloor,9:0}";
    }
}
