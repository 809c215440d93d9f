using System.Net;
using NablaGen.Distributed;
using static TorchSharp.torch;

namespace NablaGen.Tests.Distributed;

/// <summary>The ranks of a job as threads of this process, connected over the loopback as processes would be.</summary>
internal static class RankThreads
{
    /// <summary>Times that make a test of a lost rank short.</summary>
    public static RankTimes Short { get; } = new()
    {
        Beat = TimeSpan.FromMilliseconds(50),
        Silence = TimeSpan.FromSeconds(1.5),
        Stall = TimeSpan.FromSeconds(0.5),
        Start = TimeSpan.FromSeconds(20),
    };

    /// <summary>Whether two tensors have the same bits.</summary>
    public static bool Same(Tensor a, Tensor b) => a.shape.SequenceEqual(b.shape) && a.dtype == b.dtype && a.eq(b).all().item<bool>();

    /// <summary>Runs something on each rank. The first failure of the lowest rank is the test's.</summary>
    /// <returns>What each gave.</returns>
    public static T[] Run<T>(int size, Func<ICommunicator, T> work)
    {
        var (results, errors) = Try(size, null, channel =>
        {
            using var communicator = new SocketCommunicator(channel);
            var result = work(communicator);
            channel.Complete();
            return result;
        });
        Assert.True(errors.All(error => error is null), string.Join('\n', errors.Where(error => error is not null)));
        return results!;
    }

    /// <summary>Runs something on each rank's channel, and gives what each failed with, too.</summary>
    public static (T?[] Results, Exception?[] Errors) Try<T>(int size, RankTimes? times, Func<RankChannel, T> work)
    {
        var listener = RankChannel.Listen();
        var place = new RankPlace(0, size, 0, "127.0.0.1", ((IPEndPoint)listener.LocalEndpoint).Port, "a test");
        var (results, errors) = (new T?[size], new Exception?[size]);
        var threads = Enumerable.Range(0, size).Select(rank => new Thread(() =>
        {
            try
            {
                using var channel = rank == 0 ? RankChannel.Lead(place, listener, times) : RankChannel.Join(place with { Rank = rank, LocalRank = rank }, times);
                results[rank] = work(channel);
            }
            catch (Exception error)
            {
                errors[rank] = error;
            }
        })).ToArray();
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        return (results, errors);
    }
}
