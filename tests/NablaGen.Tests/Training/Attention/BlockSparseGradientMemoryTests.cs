using NablaGen.Attention;
using NablaGen.Training.Attention;
using static TorchSharp.torch;

namespace NablaGen.Tests.Training.Attention;

[Trait(Lane.Name, Lane.Alone)]
[Collection(nameof(AloneCollection))]
public class BlockSparseGradientMemoryTests
{
    private static readonly BlockLayout Layout = BlockLayout.Create(4, 32, 32);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Steps_leave_nothing_behind(bool scoped)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        using var outer = NewDisposeScope();
        using var device = new OtherThread();
        var (q, k, v) = BlockSparseGradientTests.Inputs(1, 2, Layout.Tokens, 64, ScalarType.Float32);
        var backend = DifferentiableBackend.Create(CPU);
        void Step()
        {
            using var scope = NewDisposeScope();
            var x = backend.Forward(q, k, v, Layout, AttentionExpression.Nabla(0.1), out _);
            using var loss = backend.Forward(x, k, v, Layout, AttentionExpression.Nabla(0.1), out _).square().sum();
            if (scoped)
            {
                loss.backward();
            }
            else
            {
                device.Run(() => loss.backward());
            }
        }

        for (var i = 0; i < 5; i++)
        {
            Step();
        }

        var (tensors, resident) = Measure();
        for (var i = 0; i < 20; i++)
        {
            Step();
        }

        // A step's two gradients of three inputs are 12 MiB, 240 in all; the C library keeps some memory for each thread.
        var (tensorsAfter, residentAfter) = Measure();
        Assert.InRange(tensorsAfter - tensors, long.MinValue, 3);
        Assert.InRange(residentAfter - resident, long.MinValue, 80L << 20);
    }

    [Fact]
    public void An_output_that_is_thrown_away_takes_its_graph_along()
    {
        using var outer = NewDisposeScope();
        var (q, k, v) = BlockSparseGradientTests.Inputs(1, 2, Layout.Tokens, 64, ScalarType.Float32);
        var backend = DifferentiableBackend.Create(CPU);
        using (NewDisposeScope())
        {
            backend.Forward(q, k, v, Layout, AttentionExpression.Nabla(0.1), out _);
        }

        var (tensors, _) = Measure();
        for (var i = 0; i < 5; i++)
        {
            using var scope = NewDisposeScope();
            backend.Forward(q, k, v, Layout, AttentionExpression.Nabla(0.1), out _);
        }

        Assert.Equal(tensors, Measure().Tensors);
    }

    [Fact]
    public void Memory_is_linear_in_tokens()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        using var scope = NewDisposeScope();
        // A mask of tokens × tokens bits alone would be 119 MiB here, and a map of floats 3.7 GiB; a matrix is 4 MiB.
        var layout = BlockLayout.Create(31, 32, 32);
        var (q, k, v) = BlockSparseGradientTests.Inputs(1, 1, layout.Tokens, 32, ScalarType.Float32);
        var (_, before) = Measure();
        var most = before;
        using (new Timer(_ => most = Math.Max(most, Resident()), null, 0, 5))
        {
            DifferentiableBackend.Create(CPU).Forward(q, k, v, layout, AttentionExpression.Nabla(0.02), out var _).square().sum().backward();
        }

        Assert.InRange(most - before, 4L << 20, 110L << 20);
    }

    private static (long Tensors, long Resident) Measure()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return (Tensor.TotalCount, Resident());
    }

    private static long Resident()
    {
        var line = File.ReadLines("/proc/self/status").First(line => line.StartsWith("VmRSS:"));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]) << 10;
    }

    // Like the one that libtorch has for a CUDA device's backward passes: no scope is there.
    private sealed class OtherThread : IDisposable
    {
        private readonly System.Collections.Concurrent.BlockingCollection<Action> _work = [];
        private readonly Thread _thread;

        public OtherThread()
        {
            _thread = new Thread(() =>
            {
                foreach (var action in _work.GetConsumingEnumerable())
                {
                    action();
                }
            });
            _thread.Start();
        }

        public void Run(Action action)
        {
            using var done = new ManualResetEventSlim();
            Exception? failure = null;
            _work.Add(() =>
            {
                try
                {
                    action();
                }
                catch (Exception error)
                {
                    failure = error;
                }

                done.Set();
            });
            done.Wait();
            Assert.Null(failure);
        }

        public void Dispose()
        {
            _work.CompleteAdding();
            _thread.Join();
            _work.Dispose();
        }
    }
}
