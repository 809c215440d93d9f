using System.CommandLine;
using System.Runtime.InteropServices;
using NablaGen.Cli.Output;
using NablaGen.Generation;
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
        var command = new Command("doctor", "Check this machine and a model folder.")
        {
            model,
        };
        command.SetAction((parsed, _) => Task.FromResult(Run(parsed.GetValue(model))));
        return command;
    }

    private static int Run(string? model)
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
        Check("memory", () => $"{GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 1073741824.0:0.0} GiB");
        Check("ffmpeg", Ffmpeg);
        Check("ffprobe", () => FfmpegTools.Find().Ffprobe ?? throw new NablaGenException($"not found beside ffmpeg or on PATH: {FfmpegTools.InstallCommand}"));
        Check("model", () => Model(model));
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

    private static string Ffmpeg()
    {
        var tools = FfmpegTools.Find();
        // "ffmpeg version 5.1.9-0+deb12u1 Copyright (c) ..."
        var version = tools.Version.Split(' ') is ["ffmpeg", "version", var number, ..] ? number : tools.Version;
        return $"{version} at {tools.Ffmpeg}, H.264 through {tools.PickH264Encoder()}";
    }

    private static string Model(string? named)
    {
        var folder = ModelLocator.Open(named);
        TorchRuntime.Load();
        using var pipeline = new TextToVideo(folder, CPU, ScalarType.Float32);
        pipeline.CheckModel();
        return $"{folder.Name} in {folder.Path}: {folder.Summary}; every key, shape and type is right";
    }
}
