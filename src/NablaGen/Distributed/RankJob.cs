using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Distributed;

/// <summary>
/// A job of several GPUs as its processes see it: the other ranks' processes, where this program started them, the connections, and how it
/// ends: all together, with one line.
/// </summary>
public sealed class RankJob : IDisposable
{
    /// <summary>Has tensors go over sockets, on the CPU and where several ranks share a GPU: for tests. A number above 1 is how many devices the CPU shall be.</summary>
    public const string SocketsVariable = "NABLAGEN_RANK_SOCKETS";

    /// <summary>How long others are waited for, in seconds, instead of 25: for tests.</summary>
    public const string StallVariable = "NABLAGEN_RANK_STALL";

    // The work looks up between two layers, and in each exchange.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly RankLauncher? _launcher;
    private readonly RankChannel _channel;
    private readonly ICommunicator _world;
    private readonly Action<string> _giveUp;
    private readonly Timer _timer;
    private bool _isOver;

    private RankJob(RankChannel channel, RankLauncher? launcher, Device device, Action<string> giveUp)
    {
        (_channel, _launcher, _giveUp) = (channel, launcher, giveUp);
        channel.Explain = launcher is null ? null : launcher.Explain;
        _timer = new Timer(_ => GiveUp());
        // Joining waits inside the driver, too.
        channel.OnFailure(_ => Start());
        try
        {
            _world = UsesSockets || device.type == DeviceType.CPU ? new SocketCommunicator(channel) : new NcclCommunicator(channel, device);
        }
        catch
        {
            Volatile.Write(ref _isOver, true);
            throw;
        }
    }

    /// <summary>Whether tensors go over sockets.</summary>
    public static bool UsesSockets => Environment.GetEnvironmentVariable(SocketsVariable) is { Length: > 0 };

    /// <summary>How many devices the CPU shall be.</summary>
    public static int PretendedDevices =>
        int.TryParse(Environment.GetEnvironmentVariable(SocketsVariable), NumberStyles.None, CultureInfo.InvariantCulture, out var count) ? count : 1;

    /// <summary>The ranks.</summary>
    public ICommunicator World => _world;

    /// <summary>Starts the job on this machine: this process is rank 0.</summary>
    /// <param name="count">GPUs.</param>
    /// <param name="device">This rank's GPU.</param>
    /// <param name="arguments">The program's arguments, for the other ranks.</param>
    /// <param name="giveUp">Ends this process with a line, where a failed job's work does not look up.</param>
    /// <param name="cancellation">Stops waiting.</param>
    /// <exception cref="NablaGenException">A rank did not start.</exception>
    public static RankJob Launch(int count, Device device, IEnumerable<string> arguments, Action<string> giveUp, CancellationToken cancellation)
    {
        var listener = RankChannel.Listen();
        var place = new RankPlace(0, count, 0, IPAddress.Loopback.ToString(), ((IPEndPoint)listener.LocalEndpoint).Port, RandomNumberGenerator.GetHexString(32));
        RankLauncher? launcher = null;
        try
        {
            launcher = RankLauncher.Start(place, arguments);
            return Begin(() => RankChannel.Lead(place, listener, Times(), launcher.Lost, cancellation), launcher, device, giveUp);
        }
        catch
        {
            listener.Dispose();
            launcher?.Dispose();
            throw;
        }
    }

    /// <summary>Joins a job whose processes are started already.</summary>
    /// <param name="place">This process's place in it.</param>
    /// <param name="device">This rank's GPU.</param>
    /// <param name="giveUp">As for <see cref="Launch"/>.</param>
    /// <param name="cancellation">Stops waiting.</param>
    /// <exception cref="NablaGenException">A rank did not start.</exception>
    public static RankJob Join(RankPlace place, Device device, Action<string> giveUp, CancellationToken cancellation) => Begin(
        () => place.Rank == 0
            ? RankChannel.Lead(place, RankChannel.Listen(place.Port), Times(), null, cancellation)
            : RankChannel.Join(place, Times(), cancellation),
        null, device, giveUp);

    /// <summary>Does all of this rank's work. Where it fails, or another rank's does, all end.</summary>
    /// <param name="work">The work.</param>
    /// <param name="explain">The line of an error.</param>
    /// <exception cref="RankFaultException">Another rank failed; the line names it.</exception>
    public T Run<T>(Func<T> work, Func<Exception, string> explain)
    {
        var result = Step(work, explain);
        Complete();
        return result;
    }

    /// <summary>Does a part of this rank's work; more may follow, until <see cref="Complete"/>.</summary>
    /// <inheritdoc cref="Run"/>
    public T Step<T>(Func<T> work, Func<Exception, string> explain)
    {
        Volatile.Write(ref _isOver, false);
        try
        {
            return work();
        }
        catch (Exception error) when (error is not OperationCanceledException && _channel.FaultOf(error) is { } fault)
        {
            throw fault;
        }
        catch (Exception error)
        {
            _channel.Fail($"{_channel.Name}: {explain(error)}", error is RankFaultException { IsShortage: true });
            throw;
        }
        finally
        {
            Volatile.Write(ref _isOver, true);
        }
    }

    /// <summary>This rank has done its work: that it ends now is no fault.</summary>
    public void Complete() => _channel.Complete();

    /// <summary>Leaves the job; where this process started the others, waits until they have ended.</summary>
    public void Dispose()
    {
        Volatile.Write(ref _isOver, true);
        _timer.Dispose();
        _channel.Dispose();
        _world.Dispose();
        _launcher?.Dispose();
    }

    /// <summary>A job over a connection that is there.</summary>
    /// <param name="channel">The connection, the result's from now on.</param>
    /// <param name="device">This rank's device.</param>
    internal static RankJob Over(RankChannel channel, Device device) => Begin(() => channel, null, device, _ => { });

    private void GiveUp()
    {
        if (!Volatile.Read(ref _isOver))
        {
            _launcher?.Dispose();
            _giveUp(_channel.Fault ?? "another rank has ended");
        }
    }

    private void Start()
    {
        try
        {
            _timer.Change(Patience, Timeout.InfiniteTimeSpan);
        }
        catch (ObjectDisposedException)
        {
            // The work is over.
        }
    }

    private static RankJob Begin(Func<RankChannel> open, RankLauncher? launcher, Device device, Action<string> giveUp)
    {
        var channel = open();
        try
        {
            return new RankJob(channel, launcher, device, giveUp);
        }
        catch (Exception error)
        {
            channel.Fail($"{channel.Name}: {error.Message}");
            channel.Dispose();
            throw;
        }
    }

    private static RankTimes Times() =>
        double.TryParse(Environment.GetEnvironmentVariable(StallVariable), NumberStyles.Float, CultureInfo.InvariantCulture, out var seconds) && seconds > 0
            ? new RankTimes { Stall = TimeSpan.FromSeconds(seconds), Silence = TimeSpan.FromSeconds(seconds) }
            : new RankTimes();
}
