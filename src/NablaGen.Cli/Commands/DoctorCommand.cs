using System.CommandLine;
using System.Runtime.InteropServices;
using NablaGen.Cli.Output;
using NablaGen.Generation;
using NablaGen.Memory;
using NablaGen.Models;
using NablaGen.Tensors;
using NablaGen.Video;
using static TorchSharp.torch;

namespace NablaGen.Cli.Commands;

/// <summary><c>nablagen doctor</c>: sees whether this machine and a model can make videos; each line passes or says what to do.</summary>
internal static class DoctorCommand
{
    public const string Example = "doctor --model Wan2.1-T2V-1.3B";

    public static Command Create()
    {
        var model = SharedOptions.Model();
        var pieces = new PieceOptions();
        var command = new Command("doctor", "Check this machine and a model.")
        {
            model,
        };
        pieces.AddTo(command);
        command.SetAction((parsed, cancellation) => Task.FromResult(Run(parsed.GetValue(model), pieces.Read(parsed), cancellation)));
        return command;
    }

    private static int Run(string? model, ModelPieces pieces, CancellationToken cancellation)
    {
        var healthy = true;
        void Check(string name, Func<string> look)
        {
            try
            {
                Wrapped.Write($"ok    {name,-10}", look());
            }
            catch (NablaGenException error)
            {
                healthy = false;
                Wrapped.Write($"FAIL  {name,-10}", error.Message);
            }
        }

        Check("nablagen", () => $"{NablaGenVersion.Text}, {RuntimeInformation.FrameworkDescription}, {RuntimeInformation.OSDescription} ({RuntimeInformation.OSArchitecture})");
        Check("libtorch", LibTorch);
        Check("device", Devices);
        foreach (var gpu in Gpus())
        {
            Check($"cuda:{gpu.index}", () => KernelSupport.Check(gpu));
        }

        Check("memory", Memory);
        Check("ffmpeg", () => Ffmpeg(cancellation));
        Check("ffprobe", () => Ffprobe(cancellation));
        Check("model", () => Model(model, pieces));
        return healthy ? ExitCode.Done : ExitCode.Failed;
    }

    private static string LibTorch()
    {
        TorchRuntime.Load();
        return $"{__version__} in {TorchRuntime.Folder ?? AppContext.BaseDirectory}";
    }

    private static string Devices()
    {
        TorchRuntime.Load();
        var cpu = $"CPU with {get_num_threads()} threads";
        return TorchRuntime.HasCuda ? $"{cuda.device_count()} CUDA device(s), and a {cpu}" : $"{cpu}; no CUDA device";
    }

    private static Device[] Gpus()
    {
        try
        {
            return TorchRuntime.HasCuda ? [.. Enumerable.Range(0, cuda.device_count()).Select(number => new Device(TorchSharp.DeviceType.CUDA, number))] : [];
        }
        catch (NablaGenException)
        {
            // The line of libtorch says it.
            return [];
        }
    }

    private static string Memory()
    {
        var memory = HostMemory.Read();
        return $"{ByteSize.Text(memory.Free)} of {ByteSize.Text(memory.Total)} free";
    }

    // Makes a video of one frame, as a generation does before its work.
    private static string Ffmpeg(CancellationToken cancellation)
    {
        var tools = FfmpegTools.Find();
        Mp4Writer.CheckTarget(Path.Combine(Folder(), "nablagen-doctor.mp4"), tools, cancellation);
        // "ffmpeg version 5.1.9-0+deb12u1 Copyright (c) ..."
        var line = tools.ReadVersion(cancellation);
        var version = line.Split(' ') is ["ffmpeg", "version", var number, ..] ? number : line;
        return $"{version} at {tools.Ffmpeg}, H.264 through {tools.PickH264Encoder(cancellation)}";
    }

    private static string Ffprobe(CancellationToken cancellation)
    {
        var tools = FfmpegTools.Find();
        tools.CheckFfprobe(cancellation);
        return tools.Ffprobe!;
    }

    // Where videos go if nothing else is said; where nothing can be written there, ffmpeg is tried in the temporary folder.
    private static string Folder()
    {
        var current = Environment.CurrentDirectory;
        try
        {
            using var probe = new FileStream(Path.Combine(current, $"{Guid.NewGuid():N}.partial"), FileMode.CreateNew, FileAccess.Write, FileShare.None, 1, FileOptions.DeleteOnClose);
            return current;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Path.GetTempPath();
        }
    }

    private static string Model(string? named, ModelPieces pieces)
    {
        var folder = ModelLocator.Open(named, pieces);
        TorchRuntime.Load();
        // Where videos from pictures have a transformer of their own, it is looked at, too.
        var models = new[] { folder, folder.For(hasPicture: true) }.Distinct().ToArray();
        foreach (var model in models)
        {
            using var pipeline = new TextToVideo(model, CPU, ScalarType.Float32);
            pipeline.CheckModel();
        }

        var second = models.Length > 1 ? $"; for pictures: {models[1].Summary}" : "";
        return $"{folder.Name} in {folder.Path}: {folder.Summary}{second}; every key, shape and type is right";
    }
}
