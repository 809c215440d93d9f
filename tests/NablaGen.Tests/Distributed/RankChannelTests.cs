using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using NablaGen.Distributed;
using static TorchSharp.torch;

namespace NablaGen.Tests.Distributed;

/// <summary>What is exchanged, and that a rank that is lost ends all with a line that names it.</summary>
public class RankChannelTests
{
    [Fact]
    public void Each_rank_gets_the_bytes_of_all()
    {
        var (results, errors) = RankThreads.Try(3, null, channel =>
        {
            var first = channel.Share(Encoding.UTF8.GetBytes($"from {channel.Place.Rank}"));
            var second = channel.Share([]);
            channel.Complete();
            return string.Join(", ", first.Select(Encoding.UTF8.GetString)) + second.Length;
        });
        Assert.All(errors, Assert.Null);
        Assert.All(results, result => Assert.Equal("from 0, from 1, from 23", result));
    }

    [Fact]
    public void Tensors_of_any_type_and_stride_go_both_ways_at_once()
    {
        RankThreads.Run(3, world =>
        {
            using var scope = NewDisposeScope();
            Tensor Of(int from, int to) => full([3, 1000], (100 * from) + to, ScalarType.BFloat16).t();
            var others = Enumerable.Range(0, world.Size).Where(rank => rank != world.Rank).ToArray();
            var received = others.Select(rank => new Transfer(rank, empty([1000, 3], ScalarType.BFloat16))).ToArray();
            world.Exchange([.. others.Select(rank => new Transfer(rank, Of(world.Rank, rank)))], received);
            Assert.All(received, one => Assert.True(RankThreads.Same(one.Tensor, Of(one.Peer, world.Rank))));
            return true;
        });
    }

    [Fact]
    public void A_rank_that_fails_ends_the_others_with_its_line()
    {
        var (_, errors) = RankThreads.Try<bool>(3, RankThreads.Short, channel =>
        {
            using var world = new SocketCommunicator(channel);
            if (world.Rank == 2)
            {
                world.Abort($"{channel.Name}: cuda:2 ran out of memory");
            }

            Wait(world);
            return true;
        });
        Assert.All(errors, error => Assert.Matches("^rank 2 on .* \\(process [0-9]+\\): cuda:2 ran out of memory$", Assert.IsType<RankFaultException>(error).Message));
    }

    [Fact]
    public void A_rank_that_leaves_without_a_word_is_named()
    {
        var (_, errors) = RankThreads.Try<bool>(2, RankThreads.Short, channel =>
        {
            using var world = new SocketCommunicator(channel);
            if (world.Rank == 1)
            {
                return true;
            }

            Wait(world);
            return true;
        });
        Assert.Matches("^rank 1 on .* has stopped$", errors[0]!.Message);
    }

    [Fact]
    public void A_rank_that_hangs_is_named_where_others_wait_and_not_where_they_are_patient()
    {
        using var release = new ManualResetEventSlim();
        var (_, errors) = RankThreads.Try<bool>(2, RankThreads.Short, channel =>
        {
            using var world = new SocketCommunicator(channel);
            if (world.Rank == 1)
            {
                Thread.Sleep(800);
            }

            ((ICommunicator)world).Barrier(isPatient: true);
            if (world.Rank == 1)
            {
                release.Wait(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
            }

            try
            {
                Wait(world);
            }
            finally
            {
                release.Set();
            }

            return true;
        });
        Assert.Matches("^rank 1 on .* hangs: ", errors[0]!.Message);
        Assert.Equal(errors[0]!.Message, errors[1]!.Message);
    }

    [Fact]
    public void A_process_that_gives_no_sign_of_life_is_named()
    {
        var listener = RankChannel.Listen();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        using var mute = new TcpClient("127.0.0.1", port);
        var hello = Encoding.UTF8.GetBytes("job\n1\nelsewhere\n77");
        mute.GetStream().Write([1, (byte)hello.Length, 0, 0, 0, .. hello]);
        var watch = Stopwatch.StartNew();
        using var channel = RankChannel.Lead(new RankPlace(0, 2, 0, "127.0.0.1", port, "job"), listener, RankThreads.Short, cancellation: TestContext.Current.CancellationToken);
        var error = Assert.Throws<RankFaultException>(() => channel.Share([], isPatient: true));
        Assert.StartsWith("rank 1 on elsewhere (process 77) has given no sign of life", error.Message);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(15));
    }

    [Fact]
    public void Cancellation_ends_waiting_and_a_stranger_is_not_let_in()
    {
        var listener = RankChannel.Listen();
        var place = new RankPlace(0, 2, 0, "127.0.0.1", ((IPEndPoint)listener.LocalEndpoint).Port, "job");
        using var stranger = new TcpClient("127.0.0.1", place.Port);
        var hello = Encoding.UTF8.GetBytes("another\n1\nelsewhere\n77");
        stranger.GetStream().Write([1, (byte)hello.Length, 0, 0, 0, .. hello]);
        using var cancel = new CancellationTokenSource(TimeSpan.FromSeconds(0.3));
        Assert.ThrowsAny<OperationCanceledException>(() => RankChannel.Lead(place, listener, RankThreads.Short, cancellation: cancel.Token));
    }

    [Fact]
    public void The_environment_says_who_one_is()
    {
        RankPlace? Of(params string[] variables)
        {
            var all = variables.Select(line => line.Split('=')).ToDictionary(pair => pair[0], pair => pair[1]);
            return RankPlace.FromEnvironment(name => all.GetValueOrDefault(name));
        }

        Assert.Null(Of());
        Assert.Equal(
            new RankPlace(3, 8, 1, "node", 29501, ""), Of("RANK=3", "WORLD_SIZE=8", "LOCAL_RANK=1", "MASTER_ADDR=node", "MASTER_PORT=29500"));
        Assert.Equal(
            new RankPlace(1, 2, 0, "node", 29501, ""),
            Of("SLURM_PROCID=1", "SLURM_STEP_NUM_TASKS=2", "SLURM_LOCALID=0", "MASTER_ADDR=node", "MASTER_PORT=29500"));
        Assert.Null(Of("SLURM_PROCID=0", "SLURM_STEP_NUM_TASKS=1"));
        Assert.Contains("MASTER_ADDR", Assert.Throws<InvalidRequestException>(() => Of("SLURM_PROCID=1", "SLURM_STEP_NUM_TASKS=2", "SLURM_LOCALID=0")).Message);
        Assert.Contains("WORLD_SIZE is 'x'", Assert.Throws<InvalidRequestException>(() => Of("RANK=3", "WORLD_SIZE=x", "LOCAL_RANK=1")).Message);
        Assert.Contains("RANK is 8", Assert.Throws<InvalidRequestException>(() => Of("RANK=8", "WORLD_SIZE=8", "LOCAL_RANK=1")).Message);
    }

    // Until the job ends.
    private static void Wait(ICommunicator world)
    {
        using var scope = NewDisposeScope();
        var other = world.Rank == 0 ? 1 : 0;
        var x = empty(1);
        for (var i = 0; i < 2; i++)
        {
            world.Exchange([new Transfer(other, x)], world.Rank == 0 || i > 0 ? [new Transfer(other, empty(1))] : []);
        }

        world.Barrier();
        world.Barrier();
    }
}
