using System.Collections.Concurrent;
using System.IO.Pipes;
using System.Threading.Channels;
using FFMpegCore.Pipes;

namespace NablaGen.Video;

/// <summary>
/// Hands frames from the thread that makes them to ffmpeg's pipe. At most a few wait: <see cref="Write"/> blocks while ffmpeg is behind.
/// </summary>
internal sealed class FramePipe(string streamArguments) : IPipeSource
{
    private const int MaxWaiting = 4;

    private readonly Channel<byte[]> _waiting = Channel.CreateBounded<byte[]>(
        new BoundedChannelOptions(MaxWaiting) { SingleReader = true, SingleWriter = true });

    private readonly ConcurrentBag<byte[]> _free = [];

    public string GetStreamArguments() => streamArguments;

    /// <summary>Copies a frame into the queue. False: ffmpeg reads no more.</summary>
    public bool Write(ReadOnlySpan<byte> frame, CancellationToken cancellation)
    {
        if (!_free.TryTake(out var copy))
        {
            copy = new byte[frame.Length];
        }

        frame.CopyTo(copy);
        while (!_waiting.Writer.TryWrite(copy))
        {
            if (!_waiting.Writer.WaitToWriteAsync(cancellation).AsTask().GetAwaiter().GetResult())
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>No frame follows. Frames that wait still go out, if ffmpeg is there.</summary>
    public void Close() => _waiting.Writer.TryComplete();

    /// <summary>Called by FFMpegCore once ffmpeg has opened the pipe; it closes the pipe afterwards.</summary>
    public async Task WriteAsync(Stream outputStream, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var frame in _waiting.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(false))
            {
                await outputStream.WriteAsync(frame, cancellationToken).ConfigureAwait(false);
                _free.Add(frame);
            }

            if (OperatingSystem.IsWindows() && outputStream is PipeStream pipe)
            {
                // Disconnecting a Windows pipe throws away what has not been read from it.
                pipe.WaitForPipeDrain();
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
        {
            // ffmpeg has closed its end: its exit code and its last line say why.
        }
        finally
        {
            Close();
        }
    }
}
