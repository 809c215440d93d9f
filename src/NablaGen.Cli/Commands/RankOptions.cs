using System.CommandLine;
using System.Globalization;
using NablaGen.Distributed;
using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Jobs.Batch;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Cli.Commands;

/// <summary>The option that makes one video on several GPUs, and the job that it begins.</summary>
internal sealed class RankOptions
{
    private const string All = "all";
    private const string Name = "--gpus";

    // Of a command that starts all ranks itself: how it was started tells nothing of them.
    private readonly bool _isOwn;

    /// <param name="isOwn">Whether the command always starts its ranks itself, whatever Slurm says, and takes no ranks of torchrun's.</param>
    public RankOptions(bool isOwn = false)
    {
        _isOwn = isOwn;
        Gpus = new GpuOption(Name, isOwn)
        {
            Description = "GPUs that make one video together, a number or all [default: 1]",
            HelpName = "N",
            CompletionSources = { "2", "4", "8", All },
        };
    }

    /// <summary>The option.</summary>
    public Option<string?> Gpus { get; }

    /// <summary>Whether this process helps another, which tells of the run and writes its files.</summary>
    /// <param name="parsed">The command line.</param>
    public static bool IsHelper(ParseResult parsed) =>
        parsed.CommandResult.Command.Options.OfType<GpuOption>().FirstOrDefault() is { } option
        && parsed.GetValue(option) is not null && (Environment(option.IsOwn) is { Rank: > 0 } || (option.IsOwn && Group() is not null));

    /// <summary>The group of GPUs that this process leads for another; null where it leads none.</summary>
    public static BatchGroup? Group() => BatchGroup.FromEnvironment(System.Environment.GetEnvironmentVariable);

    /// <summary>What the option asks for; null for one GPU. Before libtorch is loaded.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="device">The command's option for the device.</param>
    /// <exception cref="InvalidRequestException">It is no number, or does not fit what torchrun or Slurm says or another option.</exception>
    public RankChoice? Read(ParseResult parsed, Option<string> device)
    {
        if (parsed.GetValue(Gpus) is not { } text)
        {
            return null;
        }

        int? count = text == All ? null : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= 1
            ? number
            : throw new InvalidRequestException($"--gpus: expected a number of 1 or more, or all; found '{text}'");
        if (parsed.GetValue(device)!.Contains(':', StringComparison.Ordinal))
        {
            throw new InvalidRequestException($"--device {parsed.GetValue(device)} names one GPU, and --gpus takes the first ones: leave one of them out, or choose GPUs by CUDA_VISIBLE_DEVICES");
        }

        var place = Environment(_isOwn);
        if (place is not null && count is not null && count != place.Size)
        {
            throw new InvalidRequestException($"--gpus {count}: torchrun or Slurm has started {place.Size} processes of this job; give --gpus all");
        }

        if (place is { Job: "" } && !RankJob.UsesSockets)
        {
            RankLauncher.Confine(place.LocalRank);
        }

        return (place?.Size ?? count) == 1 ? null : new RankChoice(count, place);
    }

    /// <summary>Does rank 0's work, alone or with the others.</summary>
    /// <param name="job">The job; null for one GPU.</param>
    /// <param name="work">The work.</param>
    public static T Run<T>(RankJob? job, Func<T> work) =>
        job is null ? work() : job.Run(work, Line);

    /// <summary>The ranks of a batch: rank 0's end.</summary>
    /// <param name="begin">Begins a job.</param>
    /// <param name="prompts">The prompt file.</param>
    public static RowRanks Rows(Func<RankJob> begin, PromptSource prompts) => new(begin, prompts, Line);

    /// <summary>Does another rank's work. Rank 0 tells of what goes wrong.</summary>
    /// <returns>The exit code.</returns>
    public static int Help(RankJob job, Action work, CancellationToken cancellation)
    {
        try
        {
            return job.Run(
                () =>
                {
                    work();
                    return ExitCode.Done;
                },
                Line);
        }
        catch (Exception error) when (error is OperationCanceledException or NablaGenException)
        {
            return cancellation.IsCancellationRequested ? ExitCode.Cancelled : ExitCode.Failed;
        }
    }

    private static string Line(Exception error) => CommandRunner.Explain(error, cancelled: error is OperationCanceledException).Line;

    private static RankPlace? Environment(bool isOwn)
    {
        static string? Read(string name) => System.Environment.GetEnvironmentVariable(name);

        return !isOwn || Read(RankPlace.JobVariable) is { Length: > 0 } ? RankPlace.FromEnvironment(Read)
            : Read("RANK") is { Length: > 0 } && Read("WORLD_SIZE") is { Length: > 0 } and not "1"
            ? throw new InvalidRequestException("--gpus: this command starts its own processes, one for each GPU: run it without torchrun, once on each machine")
            : null;
    }

    private sealed class GpuOption(string name, bool isOwn) : Option<string?>(name)
    {
        public bool IsOwn => isOwn;
    }
}

/// <summary>The GPUs that are asked for.</summary>
/// <param name="Count">How many; null for all.</param>
/// <param name="Place">This process's place, where torchrun, Slurm or rank 0 has started it.</param>
internal sealed record RankChoice(int? Count, RankPlace? Place)
{
    /// <summary>Whether this process helps another.</summary>
    public bool IsHelper => Place is { Rank: > 0 };

    /// <summary>Sees that a request can be made on so many GPUs, and gives their number.</summary>
    /// <param name="pipeline">What makes it.</param>
    /// <param name="requests">What is to be made.</param>
    /// <exception cref="NablaGenException">It cannot; the line says why.</exception>
    public int Check(TextToVideo pipeline, params IReadOnlyList<GenerationRequest> requests)
    {
        var count = CountOn(pipeline.Device);
        foreach (var request in requests)
        {
            pipeline.CheckSplit(request, count);
        }

        return count;
    }

    /// <summary>How many groups of so many GPUs there are: one at least.</summary>
    /// <param name="device">This process's device.</param>
    /// <exception cref="NablaGenException">There are not so many.</exception>
    public int GroupsOn(Device device)
    {
        var size = CountOn(device);
        return Place is not null ? 1 : Math.Max(1, DevicesOf(device) / size);
    }

    /// <summary>How many GPUs are in no group.</summary>
    /// <inheritdoc cref="GroupsOn"/>
    public int IdleOn(Device device) => Math.Max(0, DevicesOf(device) - (GroupsOn(device) * CountOn(device)));

    /// <summary>Begins the job, or joins it; null where there is one GPU after all.</summary>
    /// <param name="pipeline">What makes the video; it gets the job's ranks.</param>
    /// <param name="prompt">The prompt, which one process alone can read from standard input; null where nothing is read.</param>
    /// <param name="cancellation">Stops waiting.</param>
    /// <param name="requests">What is to be made.</param>
    public RankJob? Open(TextToVideo pipeline, string? prompt, CancellationToken cancellation, params IReadOnlyList<GenerationRequest> requests)
    {
        Check(pipeline, requests);
        var job = Open(pipeline.Device, prompt, cancellation);
        pipeline.World = job?.World;
        return job;
    }

    /// <summary>Begins the job, or joins it, on a device; null where there is one GPU after all.</summary>
    /// <param name="device">This rank's device.</param>
    /// <param name="prompt">As for a video.</param>
    /// <param name="cancellation">Stops waiting.</param>
    public RankJob? Open(Device device, string? prompt, CancellationToken cancellation)
    {
        var count = CountOn(device);
        if (count == 1)
        {
            return null;
        }

        // Rank 0 tells of what goes wrong.
        void GiveUp(string line) => Interruption.Leave(ExitCode.Failed, "failed", IsHelper ? null : line);
        return Place is { } place
            ? RankJob.Join(place, device, GiveUp, cancellation)
            : RankJob.Launch(count, device, Arguments(prompt), GiveUp, cancellation);
    }

    /// <summary>How many there are.</summary>
    /// <param name="device">This rank's device.</param>
    /// <exception cref="NablaGenException">There are not so many.</exception>
    public int CountOn(Device device)
    {
        var isCuda = device.type == DeviceType.CUDA;
        if (!isCuda && !RankJob.UsesSockets)
        {
            throw new InvalidRequestException("--gpus needs CUDA devices: on the CPU one process uses all cores");
        }

        var there = isCuda ? cuda.device_count() : 1;
        var count = Place?.Size ?? Count ?? there;
        return Place is not null || count <= there || RankJob.UsesSockets
            ? count
            : throw new NablaGenException($"--gpus {count}: there {(there == 1 ? "is 1 CUDA device" : $"are {there} CUDA devices")}");
    }

    private static int DevicesOf(Device device) => device.type == DeviceType.CUDA ? cuda.device_count() : RankJob.PretendedDevices;

    private static IEnumerable<string> Arguments(string? prompt)
    {
        var names = RequestFields.Prompt.Aliases.Append(RequestFields.Prompt.Option).ToArray();
        var arguments = Environment.GetCommandLineArgs()[1..];
        for (var i = 0; i < arguments.Length; i++)
        {
            var isPrompt = prompt is not null && i > 0 && arguments[i] == "-" && names.Contains(arguments[i - 1]);
            yield return isPrompt ? prompt! : prompt is not null && arguments[i] == $"{RequestFields.Prompt.Option}=-" ? $"{RequestFields.Prompt.Option}={prompt}" : arguments[i];
        }
    }
}
