using System.Collections.Concurrent;
using System.Threading.Channels;

namespace NablaGen.Video;

/// <summary>
/// Hands frames from the thread that makes them to ffmpeg's standard input. At most a few wait: <see cref="Write"/> blocks while ffmpeg
/// is behind.
/// </summary>
internal sealed class FramePipe
{
    private const int MaxWaiting = 4;
    private static readonly TimeSpan Slice = TimeSpan.FromMilliseconds(250);

    private readonly Channel<byte[]> _waiting = Channel.CreateBounded<byte[]>(
        new BoundedChannelOptions(MaxWaiting) { SingleReader = true, SingleWriter = true });

    private readonly ConcurrentBag<byte[]> _free = [];
    private volatile bool _isBroken;

    /// <summary>A pipe into a stream, which is closed behind the last frame.</summary>
    public FramePipe(Stream input) => _ = Task.Run(() => SendAsync(input), CancellationToken.None);

    /// <summary>Whether the reader has closed its end before the last frame.</summary>
    public bool IsBroken => _isBroken;

    /// <summary>Copies a frame into the queue.</summary>
    /// <returns>False: ffmpeg reads no more.</returns>
    /// <exception cref="TimeoutException">ffmpeg has taken no frame for so long.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public bool Write(ReadOnlySpan<byte> frame, TimeSpan limit, CancellationToken cancellation)
    {
        if (!_free.TryTake(out var copy))
        {
            copy = new byte[frame.Length];
        }

        frame.CopyTo(copy);
        while (!_waiting.Writer.TryWrite(copy))
        {
            var room = _waiting.Writer.WaitToWriteAsync(cancellation).AsTask();
            // In slices, as FfmpegProcess counts its limits.
            for (var waited = TimeSpan.Zero; !room.IsCompleted; waited += Slice)
            {
                if (waited >= limit)
                {
                    throw new TimeoutException();
                }

                Task.WaitAny([room], Slice);
            }

            if (!room.GetAwaiter().GetResult())
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>No frame follows. Frames that wait still go out, if ffmpeg is there.</summary>
    public void Close() => _waiting.Writer.TryComplete();

    private async Task SendAsync(Stream input)
    {
        try
        {
            await foreach (var frame in _waiting.Reader.ReadAllAsync().ConfigureAwait(false))
            {
                await input.WriteAsync(frame).ConfigureAwait(false);
                _free.Add(frame);
            }

            await input.DisposeAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
        {
            // ffmpeg has closed its end: its exit code and what it said tell why.
            _isBroken = true;
        }
        finally
        {
            Close();
        }
    }
}
