using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using NablaGen.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Distributed;

/// <summary>
/// Tensors over TCP, a connection between each two ranks: for the CPU, and for what has no NCCL. Tensors of a GPU go through the host.
/// </summary>
public sealed class SocketCommunicator : ICommunicator
{
    private readonly RankChannel _channel;
    private readonly Socket?[] _sockets;

    /// <summary>Connects all ranks with each other.</summary>
    /// <param name="channel">The job; stays the caller's.</param>
    /// <exception cref="NablaGenException">A rank was lost meanwhile.</exception>
    public SocketCommunicator(RankChannel channel)
    {
        _channel = channel;
        _sockets = new Socket?[channel.Place.Size];
        channel.OnFailure(_ => Close());
        try
        {
            Connect();
        }
        catch (Exception error) when (error is SocketException or IOException or ObjectDisposedException)
        {
            Close();
            throw channel.Lost($"{channel.Name} cannot connect to the other ranks: {error.Message}");
        }
    }

    /// <inheritdoc/>
    public int Rank => _channel.Place.Rank;

    /// <inheritdoc/>
    public int Size => _channel.Place.Size;

    /// <inheritdoc/>
    public void Exchange(IReadOnlyList<Transfer> sends, IReadOnlyList<Transfer> receives)
    {
        _channel.Reach();
        using var scope = NewDisposeScope();
        // Tasks have dispose scopes of their own: what they send is made here.
        var outgoing = sends.Select(send => send with { Tensor = send.Tensor.cpu().contiguous() }).ToLookup(send => send.Peer, send => send.Tensor);
        var tasks = outgoing.Select(peer => Task.Run(() => Send(_sockets[peer.Key]!, peer))).ToArray();
        try
        {
            foreach (var (peer, target) in receives)
            {
                using var inner = NewDisposeScope();
                var here = target.device_type == DeviceType.CPU ? target : empty(target.shape, target.dtype);
                Receive(_sockets[peer]!, here);
                if (!ReferenceEquals(here, target))
                {
                    target.copy_(here);
                }
            }

            Task.WaitAll(tasks);
        }
        catch (Exception error) when (error is IOException or SocketException or ObjectDisposedException or AggregateException)
        {
            throw _channel.Lost($"{_channel.Name} lost the connection to another rank: {error.GetBaseException().Message}");
        }
    }

    /// <inheritdoc/>
    public byte[][] Share(ReadOnlySpan<byte> own, bool isPatient = false) => _channel.Share(own, isPatient);

    /// <inheritdoc/>
    public void Abort(string line) => _channel.Fail(line);

    /// <inheritdoc/>
    public void Dispose() => Close();

    private static unsafe void Send(Socket socket, IEnumerable<Tensor> tensors)
    {
        foreach (var tensor in tensors)
        {
            TensorMemory.Use(tensor, (start, count) =>
            {
                for (var sent = 0L; sent < count;)
                {
                    sent += socket.Send(new ReadOnlySpan<byte>(start + sent, (int)Math.Min(count - sent, 1 << 24)));
                }
            });
        }
    }

    private static unsafe void Receive(Socket socket, Tensor tensor) => TensorMemory.Use(tensor, (start, count) =>
    {
        for (var got = 0L; got < count;)
        {
            var some = socket.Receive(new Span<byte>(start + got, (int)Math.Min(count - got, 1 << 24)));
            got += some > 0 ? some : throw new IOException("the other end has closed it");
        }
    });

    // Each listens; the higher rank of two calls the lower one.
    private void Connect()
    {
        using var failed = new CancellationTokenSource();
        _channel.OnFailure(_ => Cancel(failed));
        using var listener = new TcpListener(_channel.Address, 0);
        listener.Start();
        var own = (IPEndPoint)listener.LocalEndpoint;
        var all = _channel.Share(Encoding.UTF8.GetBytes(own.ToString())).Select(bytes => IPEndPoint.Parse(Encoding.UTF8.GetString(bytes))).ToArray();
        for (var peer = 0; peer < Rank; peer++)
        {
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            _sockets[peer] = socket;
            socket.Connect(all[peer]);
            var stream = new NetworkStream(socket);
            RankFrame.Write(stream, RankFrame.Kind.Hello, Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{_channel.Place.Job}\n{Rank}")));
        }

        for (var missing = Size - 1 - Rank; missing > 0; missing--)
        {
            Socket socket;
            try
            {
                socket = listener.AcceptSocketAsync(failed.Token).AsTask().GetAwaiter().GetResult();
            }
            catch (OperationCanceledException)
            {
                throw new IOException("a rank was lost");
            }

            var parts = Encoding.UTF8.GetString(RankFrame.Read(new NetworkStream(socket)).Payload).Split('\n');
            if (parts[0] != _channel.Place.Job)
            {
                throw new IOException("a stranger called");
            }

            _sockets[int.Parse(parts[1], CultureInfo.InvariantCulture)] = socket;
        }

        foreach (var socket in _sockets.OfType<Socket>())
        {
            socket.NoDelay = true;
        }
    }

    private static void Cancel(CancellationTokenSource source)
    {
        try
        {
            source.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // All are connected by now.
        }
    }

    private void Close()
    {
        foreach (var socket in _sockets.OfType<Socket>())
        {
            socket.Dispose();
        }
    }
}
