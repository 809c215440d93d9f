using System.Diagnostics;
using NablaGen.Attention;
using NablaGen.Cuda.Communication;
using NablaGen.Distributed;
using NablaGen.Generation;
using NablaGen.Models;
using NablaGen.Tensors;
using NablaGen.Tests.Cli;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tests.Distributed;

/// <summary>Two GPUs joined by NCCL: what is exchanged arrives, attention has the bits of one GPU, and the command makes the video of one.</summary>
[Trait("gpu", "true")]
public sealed class CudaRankTests(GoldenModelFixture model) : IClassFixture<GoldenModelFixture>, IDisposable
{
    private const int Tokens = 67_200;
    private const int Width = 5120;

    private readonly TempFolder _folder = new();

    private static ITestOutputHelper Output => TestContext.Current.TestOutputHelper!;

    [Fact]
    public void Tensors_arrive_in_the_streams_order()
    {
        RequireDevices();
        Output.WriteLine($"NCCL {NcclLink.Version()}");
        OnTwo((world, device) =>
        {
            using var scope = NewDisposeScope();
            var other = 1 - world.Rank;
            foreach (var length in new[] { 1L, 777, 1 << 20 })
            {
                // Made on the stream just before, and overwritten just after.
                var own = arange(length, ScalarType.Float32, device).Plus(1000 * world.Rank).to_type(ScalarType.BFloat16);
                var got = empty([length], ScalarType.BFloat16, device);
                world.Exchange([new Transfer(other, own)], [new Transfer(other, got)]);
                own.zero_();
                Assert.True(RankThreads.Same(got.cpu(), arange(length, ScalarType.Float32).Plus(1000 * other).to_type(ScalarType.BFloat16)));
            }

            return true;
        });
    }

    [Fact]
    public void An_all_to_all_of_a_large_tensor_is_timed()
    {
        RequireDevices();
        var times = OnTwo((world, device) =>
        {
            using var scope = NewDisposeScope();
            var (own, got) = (ones([Tokens / 2, Width / 2], ScalarType.BFloat16, device), empty([Tokens / 2, Width / 2], ScalarType.BFloat16, device));
            var cuda = CudaDevices.Open(device);
            void Once() => world.Exchange([new Transfer(1 - world.Rank, own)], [new Transfer(1 - world.Rank, got)]);
            Once();
            cuda.Synchronize();
            world.Barrier();
            var watch = Stopwatch.StartNew();
            for (var i = 0; i < 20; i++)
            {
                Once();
            }

            cuda.Synchronize();
            return watch.Elapsed.TotalMilliseconds / 20;
        });
        Output.WriteLine($"all-to-all of {Tokens} x {Width} bf16 on two: {times.Max():0.000} ms, {Tokens / 2.0 * Width / 2 * 2 / times.Max() / 1e6:0} GB/s sent by each");
        Assert.True(times.Max() < 100);
    }

    [Theory]
    [InlineData("dense", 5, 128)]
    [InlineData("nabla-0.5", 5, 128)]
    [InlineData("nabla-0.5", 12, 64)]
    [InlineData("nabla-0.4_sta-1-3-3", 3, 128)]
    public void Attention_has_the_bits_of_one(string text, int heads, int dim)
    {
        RequireDevices();
        var layout = BlockLayout.Create(5, 30, 37);
        var expression = AttentionExpression.Parse(text);
        OnTwo((world, device) =>
        {
            using var scope = NewDisposeScope();
            using var generator = new Generator(7);
            Tensor Random() => randn([1, layout.Tokens, heads, dim], generator: generator).to_type(ScalarType.BFloat16).to(device).transpose(1, 2);
            var (q, k, v) = (Random(), Random(), Random());
            using var alone = AttentionFactory.Create(expression, device);
            var expected = alone.Forward(q, k, v, layout, new AttentionSite(0, 0));
            var deals = new HeadDeals(heads, 2);
            using var attention = new UlyssesAttention(world, [0, 1], deals, AttentionFactory.Create(expression, device));
            var share = attention.Split(layout, byFrames: false);
            Tensor Part(Tensor x) => x.narrow(2, share.Start, share.Layout.Tokens);
            // In order, then with heads that are no neighbours and other numbers of them, then in order again.
            foreach (var last in new[] { 0.1, 1, 0.1 })
            {
                deals.Deal(0, [.. Enumerable.Range(0, heads).Select(head => head < heads - 2 ? 0.1 : last)]);
                var y = attention.Forward(Part(q), Part(k), Part(v), layout, new AttentionSite(0, 0));
                Assert.True(RankThreads.Same(y, Part(expected)));
                Assert.True(RankThreads.Same(share.Gather(y.transpose(1, 2).flatten(2)), expected.transpose(1, 2).flatten(2)));
            }

            return true;
        });
    }

    [Theory]
    [InlineData("5", "guidance 2 × heads 1", 0)]
    [InlineData("1", "guidance 1 × heads 2", 0.05)]
    public void The_command_makes_the_video_of_one(string guidance, string split, double allowed)
    {
        RequireDevices();
        using var scope = NewDisposeScope();
        var folder = ModelFamilies.Open(model.Path);
        (Tensor Latents, Recipe Recipe) Make(string name, params string[] more)
        {
            var run = NablaGenProcess.Run(
                ["generate", "--model", model.Path, "--prompt", "x", "--seed", "4", "--steps", "4", "--frames", "1", "--width", "512", "--height", "384", "--threshold", "0.5",
                    "--guidance", guidance, "--device", "cuda", "-o", name + ".png", .. more], _folder.Path);
            Assert.Equal((0, ""), (run.ExitCode, run.Error));
            return LatentFile.Load(_folder[name + ".latents.safetensors"], folder);
        }

        var (one, two) = (Make("one"), Make("two", "--gpus", "2"));
        Assert.Equal($"2 × cuda ({split})", two.Recipe.Device);
        var error = Golden.RelativeError(two.Latents, one.Latents);
        Output.WriteLine($"{split}: relative error {error:E2}");
        Assert.InRange(error, 0, allowed);
    }

    [Fact]
    public void A_layer_that_two_hold_together_comes_out_whole()
    {
        RequireDevices();
        Assert.All(OnTwo(SharedWeightsTests.Gathers), Assert.True);
    }

    [Fact]
    public void Ranks_begin_anew_after_one_has_failed()
    {
        RequireDevices();
        var (_, errors) = RankThreads.Try(2, null, channel =>
        {
            using var scope = NewDisposeScope();
            var device = new Device(DeviceType.CUDA, channel.Place.Rank);
            var got = zeros([1 << 20], ScalarType.Float32, device);
            using ICommunicator world = new NcclCommunicator(channel, device);
            if (world.Rank == 1)
            {
                Thread.Sleep(1000);
                channel.Fail("rank 1: full", isShortage: true);
                throw new IOException("full");
            }

            // Waits on the device for what never comes.
            world.Exchange([], [new Transfer(1, got)]);
            CudaDevices.Open(device).Synchronize();
            world.Barrier();
            return true;
        });
        var error = Assert.IsType<RankFaultException>(errors[0]);
        Assert.Equal(("rank 1: full", true), (error.Message, error.IsShortage));
        Tensors_arrive_in_the_streams_order();
    }

    [Theory]
    [InlineData(2, 1)]
    [InlineData(4, 2)]
    public void A_batch_is_made_by_groups_of_two(int devices, int groups)
    {
        RequireDevices(devices);
        File.WriteAllText(_folder["a.txt"], "one\ntwo\nthree\n");
        NablaGenProcess Batch(params string[] more) => NablaGenProcess.Run(
            ["batch", "a.txt", "--model", model.Path, "--seed", "4", "--steps", "4", "--frames", "1", "--width", "512", "--height", "384", "--threshold", "0.5", "--device", "cuda",
                "-o", "out", "--log", "log", .. more],
            _folder.Path,
            new Dictionary<string, string?> { ["CUDA_VISIBLE_DEVICES"] = string.Join(',', Enumerable.Range(0, devices)) });
        var run = Batch("--gpus", "2");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Contains("3 rows: 3 made, 0 skipped, 0 failed", run.Output);
        Assert.Equal(groups > 1, File.ReadAllText(_folder["log"]).Contains($"{groups} of {groups}, until another is named", StringComparison.Ordinal));
        Assert.All(["0001-one-s4", "0002-two-s4", "0003-three-s4"], name => Assert.StartsWith("2 × cuda (", RecipeFile.Read(_folder[$"out/{name}.json"]).Device, StringComparison.Ordinal));
        Assert.Contains("3 rows: 0 made, 3 skipped, 0 failed", Batch().Output);
    }

    [Fact]
    public void More_GPUs_than_there_are_are_refused()
    {
        RequireDevices();
        var run = NablaGenProcess.Run(["generate", "--model", model.Path, "--prompt", "x", "--gpus", "99", "-o", "a.mp4"], _folder.Path);
        Assert.Equal((1, $"nablagen: --gpus 99: there are {cuda.device_count()} CUDA devices\n"), (run.ExitCode, run.Error));
    }

    public void Dispose() => _folder.Dispose();

    private static T[] OnTwo<T>(Func<ICommunicator, Device, T> work)
    {
        var (results, errors) = RankThreads.Try(2, null, channel =>
        {
            var device = new Device(DeviceType.CUDA, channel.Place.Rank);
            // Its context is there before NCCL asks for it.
            using (zeros(1, device: device))
            {
            }

            using ICommunicator world = new NcclCommunicator(channel, device);
            var result = work(world, device);
            CudaDevices.Open(device).Synchronize();
            world.Barrier();
            channel.Complete();
            return result;
        });
        Assert.True(errors.All(error => error is null), string.Join('\n', errors.Where(error => error is not null)));
        return results!;
    }

    private static void RequireDevices(int count = 2) =>
        Assert.SkipUnless(TorchRuntime.HasCuda && cuda.device_count() >= count, $"needs {count} CUDA devices, found {(TorchRuntime.HasCuda ? cuda.device_count() : 0)}");
}
