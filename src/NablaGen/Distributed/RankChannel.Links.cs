using System.Buffers.Binary;
using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace NablaGen.Distributed;

/// <content>The connections: how they begin, and what comes over them.</content>
public sealed partial class RankChannel
{
    private const int AliveBytes = 9;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    /// <summary>This rank, as a line for the user names it.</summary>
    public string Name => NameOf(Place.Rank, Environment.MachineName, Environment.ProcessId);

    private static string NameOf(int rank, string machine, int process) =>
        string.Create(CultureInfo.InvariantCulture, $"rank {rank} on {machine} (process {process})");

    private void Accept(TcpListener listener, Func<string?>? lost)
    {
        var end = Environment.TickCount64 + (long)_times.Start.TotalMilliseconds;
        while (_links.Count < Place.Size - 1)
        {
            _cancellation.ThrowIfCancellationRequested();
            if (lost?.Invoke() is { } line)
            {
                Tell(RankFrame.Kind.Fault, line);
                throw new NablaGenException(line);
            }

            if (listener.Pending())
            {
                Greet(listener.AcceptSocket());
            }
            else if (Environment.TickCount64 > end)
            {
                var missing = Enumerable.Range(1, Place.Size - 1).Except(_links.Select(link => link.Rank)).Select(rank => rank.ToString(CultureInfo.InvariantCulture));
                throw new NablaGenException($"no word of rank {string.Join(", ", missing)} within {_times.Start.TotalSeconds.ToString("0", CultureInfo.InvariantCulture)} s");
            }
            else
            {
                Thread.Sleep(Pause);
            }
        }

        _links.Sort((a, b) => a.Rank.CompareTo(b.Rank));
    }

    // A stranger's connection, or that of a rank twice, is closed.
    private void Greet(Socket socket)
    {
        try
        {
            socket.ReceiveTimeout = (int)_times.Silence.TotalMilliseconds;
            var link = new Link(socket, 0, "");
            var (kind, payload) = RankFrame.Read(link.Stream);
            var parts = Encoding.UTF8.GetString(payload).Split('\n');
            if (kind == RankFrame.Kind.Hello && parts.Length == 4 && parts[0] == Place.Job
                && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var rank) && rank > 0 && rank < Place.Size
                && int.TryParse(parts[3], NumberStyles.None, CultureInfo.InvariantCulture, out var process) && _links.TrueForAll(other => other.Rank != rank))
            {
                socket.ReceiveTimeout = 0;
                (link.Rank, link.Name) = (rank, NameOf(rank, parts[2], process));
                _links.Add(link);
                return;
            }
        }
        catch (Exception error) when (error is IOException or SocketException)
        {
            // No rank of ours.
        }

        socket.Dispose();
    }

    private void Connect()
    {
        var end = Environment.TickCount64 + (long)_times.Start.TotalMilliseconds;
        while (true)
        {
            _cancellation.ThrowIfCancellationRequested();
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            try
            {
                socket.Connect(Place.Host, Place.Port);
                var link = new Link(socket, 0, "rank 0");
                _links.Add(link);
                var hello = string.Create(CultureInfo.InvariantCulture, $"{Place.Job}\n{Place.Rank}\n{Environment.MachineName}\n{Environment.ProcessId}");
                RankFrame.Write(link.Stream, RankFrame.Kind.Hello, Encoding.UTF8.GetBytes(hello));
                return;
            }
            catch (SocketException error)
            {
                socket.Dispose();
                if (Environment.TickCount64 > end)
                {
                    throw new NablaGenException(string.Create(CultureInfo.InvariantCulture, $"rank {Place.Rank} found no rank 0 at {Place.Host}:{Place.Port}: {error.Message}"), error);
                }

                Thread.Sleep(Pause);
            }
        }
    }

    private void Begin()
    {
        foreach (var link in _links)
        {
            new Thread(() => Listen(link)) { IsBackground = true, Name = $"from rank {link.Rank}" }.Start();
        }

        new Thread(Watch) { IsBackground = true, Name = "ranks" }.Start();
    }

    private void Listen(Link link)
    {
        try
        {
            while (true)
            {
                var (kind, payload) = RankFrame.Read(link.Stream);
                if (kind is RankFrame.Kind.Fault or RankFrame.Kind.Shortage)
                {
                    Fail(Encoding.UTF8.GetString(payload), isShortage: kind == RankFrame.Kind.Shortage);
                    continue;
                }

                lock (_gate)
                {
                    link.LastSeen = Environment.TickCount64;
                    switch (kind)
                    {
                        case RankFrame.Kind.Share or RankFrame.Kind.Shared:
                            link.Inbox.Enqueue(payload);
                            Monitor.PulseAll(_gate);
                            break;
                        case RankFrame.Kind.Alive when payload.Length == AliveBytes:
                            (link.Reached, link.IsPatient) = (BinaryPrimitives.ReadInt64LittleEndian(payload), payload[^1] != 0);
                            break;
                        case RankFrame.Kind.Done:
                            link.IsDone = true;
                            break;
                    }
                }
            }
        }
        catch (Exception error) when (error is IOException or ObjectDisposedException or SocketException)
        {
            bool isLost;
            lock (_gate)
            {
                isLost = !link.IsDone && !_isClosed && _fault is null;
            }

            if (isLost)
            {
                Fail($"{link.Name} ended{(Explain?.Invoke(link.Rank) is { } why ? $": {why}" : " without a word")}");
            }
        }
    }

    // Never waits long: the other may be stopped, or a long message under way.
    private void TryTell(Link link, RankFrame.Kind kind, byte[] payload)
    {
        if (!Monitor.TryEnter(link.Writing, kind == RankFrame.Kind.Alive ? TimeSpan.Zero : _times.Beat))
        {
            return;
        }

        try
        {
            RankFrame.Write(link.Stream, kind, payload);
        }
        catch (Exception error) when (error is IOException or ObjectDisposedException or SocketException)
        {
            // Who listens at the other end has gone.
        }
        finally
        {
            Monitor.Exit(link.Writing);
        }
    }

    /// <summary>A connection to a rank.</summary>
    private sealed class Link
    {
        public Link(Socket socket, int rank, string name)
        {
            (Socket, Rank, Name) = (socket, rank, name);
            socket.NoDelay = true;
            socket.SendTimeout = 30_000;
            Stream = new NetworkStream(socket, ownsSocket: true);
        }

        public Socket Socket { get; }

        public int Rank { get; set; }

        public string Name { get; set; }

        public NetworkStream Stream { get; }

        public object Writing { get; } = new();

        public Queue<byte[]> Inbox { get; } = new();

        public long LastSeen { get; set; } = Environment.TickCount64;

        public long Reached { get; set; }

        public bool IsPatient { get; set; }

        public bool IsDone { get; set; }

        public Standing Standing { get; } = new();
    }

    /// <summary>Since when a rank has not come further.</summary>
    private sealed class Standing
    {
        public long At { get; set; } = -1;

        public long Since { get; set; } = Environment.TickCount64;
    }
}
