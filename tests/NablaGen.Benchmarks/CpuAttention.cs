using BenchmarkDotNet.Attributes;
using NablaGen.Attention;
using NablaGen.Attention.Cpu;
using static TorchSharp.torch;

namespace NablaGen.Benchmarks;

/// <summary>One head of size 128 on the CPU: dense attention against NABLA, by tokens and by density.</summary>
public class CpuAttention
{
    private readonly DenseAttention _dense = new();
    private readonly CpuBlockSparseBackend _backend = new();
    private BlockLayout _layout = BlockLayout.Create(1, 1, 1);
    private Tensor _q = null!;
    private Tensor _k = null!;
    private Tensor _v = null!;

    /// <summary>Latent frames of 32 × 32 patches: 2,048, 8,192 and 16,384 tokens.</summary>
    [Params(2, 8, 16)]
    public int Frames { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _layout = BlockLayout.Create(Frames, 32, 32);
        (_q, _k, _v) = (Draw(), Draw(), Draw());

        Tensor Draw() => randn(1, 1, _layout.Tokens, 128);
    }

    [Benchmark]
    public void Dense() => _dense.Forward(_q, _k, _v, _layout, default).Dispose();

    // On random data every block carries about the same mass, so that the threshold is the density.
    [Benchmark]
    [Arguments(1.0)]
    [Arguments(0.5)]
    [Arguments(0.2)]
    [Arguments(0.1)]
    [Arguments(0.05)]
    public void Nabla(double density) => _backend.Forward(_q, _k, _v, _layout, AttentionExpression.Nabla(density), out _).Dispose();

    [GlobalCleanup]
    public void Cleanup()
    {
        _q.Dispose();
        _k.Dispose();
        _v.Dispose();
    }
}
