using System.Runtime.InteropServices;
using NablaGen.Distributed;
using NablaGen.Files;
using NablaGen.Generation;
using NablaGen.Memory;
using NablaGen.Video;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Jobs.Batch;

/// <summary>Tells whether a row failed for what it asks for or for what the machine has come to: then every other row would fail, too.</summary>
/// <param name="home">Where the videos go.</param>
/// <param name="device">Where the model runs.</param>
internal sealed class RowFault(KnownFolder home, Device device)
{
    private const int MostTrialFrames = 17;
    private const int ProbeBytes = 1 << 12;

    /// <summary>Whether an error can be a row's at all. ExternalException is libtorch's, such as for a full GPU.</summary>
    public static bool IsPossible(Exception error) =>
        error is NablaGenException or ExternalException or OutOfMemoryException or IOException or UnauthorizedAccessException;

    /// <summary>Whether the machine is at fault: its disk, the folder, its ffmpeg, its GPU or another rank that is lost.</summary>
    /// <param name="error">What the row failed with.</param>
    /// <param name="request">What the row asks for.</param>
    /// <param name="stage">Where it failed.</param>
    public bool IsOfMachine(Exception error, GenerationRequest request, GenerationStage stage) =>
        error is RankFaultException { IsShortage: false }
        || EnvironmentFault.Is(error)
        || IsDeviceBroken(error)
        || !HasFolder
        || !CanWrite()
        || (stage == GenerationStage.Decode && request.Frames > 1 && !CanEncode(request));

    /// <summary>Whether the folder is still the one that the run began with. With another, what the claims and the manifest say is gone, too.</summary>
    public bool HasFolder => home.IsThere();

    /// <summary>Sees that it is, before a row is begun and before anything is recorded of it.</summary>
    /// <exception cref="NablaGenException">It is not.</exception>
    public void CheckFolder(BatchRow row)
    {
        try
        {
            home.Check();
        }
        catch (NablaGenException gone)
        {
            throw Stop(row, gone);
        }
    }

    /// <summary>What ends the batch: the machine's fault, at whichever row it showed.</summary>
    public NablaGenException Stop(BatchRow row, Exception error)
    {
        // Where the folder is gone, what could not be written there says less.
        var why = HasFolder ? RowMaker.Reason(error) : home.Missing;
        return new NablaGenException($"{why}; this is not the row's fault, so the batch stops and {row.Name} is not recorded as failed: "
            + "mend it, and the same command goes on", error);
    }

    // Out of memory is for the row's size; any other failure stays with a CUDA context until the process ends.
    private bool IsDeviceBroken(Exception error)
    {
        // What a rank that ran out of memory has the others' exchanges fail with is of no interest.
        var cause = error is NablaGenException and not RankFaultException && error.InnerException is { } inner ? inner : error;
        if (MemoryFault.IsOfDevice(cause) && !MemoryFault.IsDeviceFull(cause))
        {
            return true;
        }

        if (device.type == DeviceType.CPU)
        {
            return false;
        }

        try
        {
            using var scope = NewDisposeScope();
            return zeros(1, device: device).item<float>() != 0;
        }
        catch (Exception broken) when (broken is ExternalException or InvalidOperationException)
        {
            return !MemoryFault.IsDeviceFull(broken);
        }
    }

    private bool CanWrite()
    {
        var probe = OutputFile.Aside(Path.Combine(home.Path, "probe"));
        try
        {
            using var file = new FileStream(probe, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1, FileOptions.DeleteOnClose);
            file.Write(new byte[ProbeBytes]);
            file.Flush(flushToDisk: true);
            return true;
        }
        catch (Exception broken) when (OutputFile.IsOfFiles(broken))
        {
            return false;
        }
        finally
        {
            OutputFile.Discard(probe);
        }
    }

    // A black video of the row's size: where that fails, it is not for what the row shows.
    private bool CanEncode(GenerationRequest request)
    {
        var trial = Path.Combine(home.Path, $"check-{ProcessIdentity.Token}.mp4");
        try
        {
            using (var writer = Mp4Writer.Open(trial, request.Width, request.Height, request.Fps))
            {
                var frame = new byte[request.Width * request.Height * 3];
                for (var i = 0; i < Math.Min(request.Frames, MostTrialFrames); i++)
                {
                    writer.WriteFrame(frame);
                }

                writer.Complete();
            }

            return true;
        }
        catch (NablaGenException)
        {
            return false;
        }
        finally
        {
            OutputFile.Discard(trial);
        }
    }
}
