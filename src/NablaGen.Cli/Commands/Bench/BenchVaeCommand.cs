using System.CommandLine;
using NablaGen.Generation;
using NablaGen.Jobs.Benchmarks;
using NablaGen.Models;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;

namespace NablaGen.Cli.Commands.Bench;

/// <summary><c>nablagen bench vae</c>: times the decoding of a video with random weights.</summary>
internal sealed class BenchVaeCommand
{
    public const string Example = "bench vae --size 81x720x1280 --psnr";

    private const double GiB = 1 << 30;

    private readonly Option<string> _size = new("--size")
    {
        Description = "Frames, rows and columns of the video",
        HelpName = "TxHxW",
        DefaultValueFactory = _ => "81x480x832",
    };

    private readonly Option<int> _dim = new("--dim") { Description = "Channels of the first level", HelpName = "N", DefaultValueFactory = _ => VaeConfig.Wan21.Dim };
    private readonly Option<string?> _tile = new("--tile") { Description = "The most rows and columns of a tile [default: whole frames]", HelpName = "HxW" };
    private readonly Option<int?> _framesAtOnce = new("--frames-at-once")
    {
        Description = "Frames at full resolution at once, 1 to 4 [default: 1 on CUDA, 4 on the CPU]",
        HelpName = "N",
    };

    private readonly Option<bool> _encode = new("--encode") { Description = "Time the encoding instead, of a video as a picture's is: one frame, then grey ones" };
    private readonly Option<bool> _psnr = new("--psnr") { Description = "Decode in float32 as well and compare" };
    private readonly Option<int> _repeats = BenchOptions.Repeats(3);
    private readonly Option<string?> _json = BenchOptions.Json();
    private readonly Option<string> _device = SharedOptions.Device();
    private readonly Option<string> _dtype = SharedOptions.Dtype();

    public static Command Create()
    {
        var self = new BenchVaeCommand();
        var vae = new Command("vae", "Time the decoding or encoding of a video, with random weights.")
        {
            self._size, self._dim, self._tile, self._framesAtOnce, self._encode, self._psnr, self._repeats, self._json, self._device, self._dtype,
        };
        vae.SetAction((parsed, cancellation) => Task.FromResult(self.Run(parsed, cancellation)));
        return vae;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        var config = VaeConfig.Wan21 with { Dim = BenchOptions.Positive(parsed.GetValue(_dim), "dim") };
        var size = Size(parsed.GetValue(_size)!, config);
        var tile = Tile(parsed.GetValue(_tile), config);
        var repeats = BenchOptions.Positive(parsed.GetValue(_repeats), "repeats");
        if (config.Dim % 4 != 0)
        {
            throw new InvalidRequestException($"dim must be a multiple of 4, found {config.Dim}");
        }

        var encodes = parsed.GetValue(_encode);
        if (encodes && parsed.GetValue(_psnr))
        {
            throw new InvalidRequestException("--psnr has no effect with --encode: it compares decoded frames");
        }

        var report = BenchReport.Open(parsed, _json);
        TorchRuntime.Load();
        var device = DeviceChoice.Resolve(parsed.GetValue(_device)!);
        var options = new ModuleOptions(device, DeviceChoice.ResolveDtype(parsed.GetValue(_dtype)!, device));
        var tiling = VaeTiling.DefaultOn(device) with { Height = tile.Height, Width = tile.Width };
        tiling = tiling with { FramesAtOnce = BenchOptions.Positive(parsed.GetValue(_framesAtOnce) ?? tiling.FramesAtOnce, "frames-at-once") };
        var timing = encodes
            ? VaeBenchmark.RunEncoding(config, size, options, tiling, repeats, cancellation)
            : VaeBenchmark.Run(config, size, options, tiling, repeats, parsed.GetValue(_psnr), cancellation);
        var pieces = tile.Height == 0 ? "whole frames" : $"tiles of {tile.Height}x{tile.Width}";
        report.Line($"{(encodes ? "encode" : "decode")} {parsed.GetValue(_size)}, dim {config.Dim}, {timing.Dtype} on {device}, {pieces}, {tiling.FramesAtOnce} frames at once");
        report.Line($"{"median s",10}{"min",9}{"max",9}{"GiB",8}{"estimate",10}{(timing.Psnr is null ? "" : "PSNR dB"),9}");
        report.Line(
            $"{timing.Seconds,10:0.00}{timing.Fastest,9:0.00}{timing.Slowest,9:0.00}{timing.MemoryBytes / GiB,8:0.00}{timing.EstimatedBytes / GiB,10:0.00}{timing.Psnr,9:0.0}");
        report.Complete(timing);
        return ExitCode.Done;
    }

    private static (int Frames, int Height, int Width) Size(string text, VaeConfig config) =>
        BenchOptions.Sides(text) is [var frames, var height, var width]
            && (frames - 1) % config.TemporalStride == 0 && height % config.SpatialStride == 0 && width % config.SpatialStride == 0
            ? (frames, height, width)
            : throw new InvalidRequestException($"size '{text}': expected frames, rows and columns such as 81x480x832, frames 4n + 1, the others multiples of 8");

    private static (int Height, int Width) Tile(string? text, VaeConfig config) =>
        text is null ? (0, 0)
        : BenchOptions.Sides(text) is [var height, var width] && height % config.SpatialStride == 0 && width % config.SpatialStride == 0 ? (height, width)
        : throw new InvalidRequestException($"tile '{text}': expected rows and columns such as 256x256, multiples of 8");
}
