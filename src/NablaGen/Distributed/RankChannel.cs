using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace NablaGen.Distributed;

/// <summary>
/// The control connections of a job: every rank is connected to rank 0. They carry signs of life, a few bytes between the ranks, and the line of
/// what ended the job, which reaches all ranks whatever they are doing.
/// </summary>
public sealed partial class RankChannel : IDisposable
{
    private readonly object _gate = new();
    private readonly RankTimes _times;
    private readonly CancellationToken _cancellation;
    private readonly List<Link> _links = [];
    private readonly Standing _standing = new();
    private bool _isClosed;
    private bool _isDone;
    private long _reached;
    private bool _isPatient;

    private RankChannel(RankPlace place, RankTimes times, CancellationToken cancellation) => (Place, _times, _cancellation) = (place, times, cancellation);

    /// <summary>This process's place in the job.</summary>
    public RankPlace Place { get; }

    /// <summary>Says more of a rank that has gone without a word, such as its process's exit code; null for nothing.</summary>
    public Func<int, string?>? Explain { get; set; }

    /// <summary>This end's address, which the other ranks reach.</summary>
    internal IPAddress Address
    {
        get
        {
            var own = _links.Count == 0 ? IPAddress.Loopback : ((IPEndPoint)_links[0].Socket.LocalEndPoint!).Address;
            return own.IsIPv4MappedToIPv6 ? own.MapToIPv4() : own;
        }
    }

    /// <summary>Where rank 0 is to listen.</summary>
    /// <param name="port">The port; 0 for a free one of this machine alone.</param>
    /// <exception cref="NablaGenException">The port is taken.</exception>
    public static TcpListener Listen(int port = 0)
    {
        try
        {
            var listener = new TcpListener(port == 0 ? IPAddress.Loopback : IPAddress.Any, port);
            listener.Start();
            return listener;
        }
        catch (SocketException error)
        {
            throw new NablaGenException($"rank 0 cannot listen at port {port.ToString(CultureInfo.InvariantCulture)}: {error.Message}; set MASTER_PORT to another one", error);
        }
    }

    /// <summary>Rank 0's end: waits for all others.</summary>
    /// <param name="place">This rank's place.</param>
    /// <param name="listener">Where they come; closed afterwards.</param>
    /// <param name="times">How long to wait.</param>
    /// <param name="lost">Is asked meanwhile whether a rank is known to be lost: its line; null for none.</param>
    /// <param name="cancellation">Stops waiting, now and later.</param>
    /// <exception cref="NablaGenException">Not all came in time.</exception>
    public static RankChannel Lead(
        RankPlace place, TcpListener listener, RankTimes? times = null, Func<string?>? lost = null, CancellationToken cancellation = default)
    {
        var channel = new RankChannel(place, times ?? new RankTimes(), cancellation);
        try
        {
            using (listener)
            {
                channel.Accept(listener, lost);
            }

            channel.Begin();
            return channel;
        }
        catch
        {
            channel.Dispose();
            throw;
        }
    }

    /// <summary>Another rank's end: waits for rank 0.</summary>
    /// <inheritdoc cref="Lead"/>
    public static RankChannel Join(RankPlace place, RankTimes? times = null, CancellationToken cancellation = default)
    {
        var channel = new RankChannel(place, times ?? new RankTimes(), cancellation);
        try
        {
            channel.Connect();
            channel.Begin();
            return channel;
        }
        catch
        {
            channel.Dispose();
            throw;
        }
    }

    /// <summary>As <see cref="ICommunicator.Share"/>.</summary>
    public byte[][] Share(ReadOnlySpan<byte> own, bool isPatient = false)
    {
        Reach(isPatient);
        if (Place.Rank > 0)
        {
            Send(_links[0], RankFrame.Kind.Share, own);
            return RankFrame.Split(Take(_links[0]), Place.Size);
        }

        var all = new byte[Place.Size][];
        all[0] = own.ToArray();
        foreach (var link in _links)
        {
            all[link.Rank] = Take(link);
        }

        var joined = RankFrame.Join(all);
        foreach (var link in _links)
        {
            Send(link, RankFrame.Kind.Shared, joined);
        }

        return all;
    }

    /// <summary>Counts an exchange that this rank has come to, by which rank 0 finds who hangs.</summary>
    /// <param name="isPatient">Whether others may take minutes to come.</param>
    internal void Reach(bool isPatient = false)
    {
        lock (_gate)
        {
            ThrowIfFailed();
            _reached++;
            _isPatient = isPatient;
        }
    }

    /// <summary>This rank has done its part: that it ends now is no fault.</summary>
    public void Complete()
    {
        lock (_gate)
        {
            _isDone = true;
        }

        Tell(RankFrame.Kind.Done, "");
    }

    /// <summary>Closes the connections. A rank that has not completed its part ends the job.</summary>
    public void Dispose()
    {
        bool isFault;
        lock (_gate)
        {
            if (_isClosed)
            {
                return;
            }

            (isFault, _isClosed) = (!_isDone && _fault is null, true);
            Monitor.PulseAll(_gate);
        }

        if (isFault)
        {
            Tell(RankFrame.Kind.Fault, $"{Name} has stopped");
        }

        foreach (var link in _links)
        {
            link.Socket.Dispose();
        }
    }

    private byte[] Take(Link link)
    {
        lock (_gate)
        {
            while (link.Inbox.Count == 0)
            {
                ThrowIfFailed();
                _cancellation.ThrowIfCancellationRequested();
                Monitor.Wait(_gate, 100);
            }

            return link.Inbox.Dequeue();
        }
    }

    private void Send(Link link, RankFrame.Kind kind, ReadOnlySpan<byte> payload)
    {
        try
        {
            lock (link.Writing)
            {
                RankFrame.Write(link.Stream, kind, payload);
            }
        }
        catch (Exception error) when (error is IOException or ObjectDisposedException or SocketException)
        {
            throw Lost($"the connection to {link.Name} was lost");
        }
    }

    // To all that still listen; who does not is found out elsewhere.
    private void Tell(RankFrame.Kind kind, string text)
    {
        foreach (var link in _links)
        {
            TryTell(link, kind, Encoding.UTF8.GetBytes(text));
        }
    }
}
