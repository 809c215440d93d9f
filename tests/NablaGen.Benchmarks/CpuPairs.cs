using System.Diagnostics;
using NablaGen.Attention;
using NablaGen.Attention.Cpu;
using static TorchSharp.torch;

namespace NablaGen.Benchmarks;

/// <summary>
/// Dense attention and NABLA in turns, one head of size 128 at density 0.2, for machines too busy for absolute times: a slow spell meets
/// both, and the processor time leaves out what other programs took.
/// </summary>
internal static class CpuPairs
{
    private const int Pairs = 21;

    /// <summary>Prints the medians, forward (8,192 tokens) and backward (4,096).</summary>
    public static void Run()
    {
        Console.WriteLine($"NABLA over dense, median of {Pairs} pairs, {get_num_threads()} threads:");
        Console.WriteLine($"forward   {Measure(8, backward: false)}");
        Console.WriteLine($"backward  {Measure(4, backward: true)}");
    }

    private static string Measure(int frames, bool backward)
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(frames, 32, 32);
        Tensor[] inputs = [.. Enumerable.Range(0, 3).Select(_ => randn(1, 1, layout.Tokens, 128, requires_grad: backward))];
        var gradient = randn(1, 1, layout.Tokens, 128);
        var dense = new DenseAttention();
        var sparse = new CpuBlockSparseBackend();
        Tensor Dense() => dense.Forward(inputs[0], inputs[1], inputs[2], layout, default);
        Tensor Sparse() => sparse.Forward(inputs[0], inputs[1], inputs[2], layout, AttentionExpression.Nabla(0.2), out _);

        var ratios = new List<(double Wall, double Processor)>();
        for (var i = -3; i < Pairs; i++)
        {
            var (a, b) = (Time(Dense, backward, gradient), Time(Sparse, backward, gradient));
            // The first few warm up.
            if (i >= 0)
            {
                ratios.Add((b.Wall / a.Wall, b.Processor / a.Processor));
            }
        }

        return $"{Median(ratios.Select(r => r.Wall)):F3} of the time, {Median(ratios.Select(r => r.Processor)):F3} of the processor time";
    }

    private static (double Wall, double Processor) Time(Func<Tensor> forward, bool backward, Tensor gradient)
    {
        using var scope = NewDisposeScope();
        var output = backward ? forward() : null;
        var (watch, before) = (Stopwatch.StartNew(), Process.GetCurrentProcess().TotalProcessorTime);
        if (output is null)
        {
            forward();
        }
        else
        {
            output.backward([gradient]);
        }

        return (watch.Elapsed.TotalMilliseconds, (Process.GetCurrentProcess().TotalProcessorTime - before).TotalMilliseconds);
    }

    private static double Median(IEnumerable<double> values) => values.Order().ElementAt(Pairs / 2);
}
