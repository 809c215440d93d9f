using static TorchSharp.torch;

namespace NablaGen.Models;

/// <summary>One of the operations that a pass through a transformer consists of, ready to be run by itself on random data of the pass's shapes.</summary>
/// <param name="Name">What it is.</param>
/// <param name="Calls">How often a whole pass runs it.</param>
/// <param name="Flops">Floating-point operations of one call, where products are what limits it; else 0.</param>
/// <param name="Bytes">Bytes that one call reads and writes, where memory is what limits it; else 0.</param>
/// <param name="Work">Runs it once, in the caller's dispose scope.</param>
public sealed record LayerOperation(string Name, int Calls, double Flops, double Bytes, Func<Tensor> Work)
{
    /// <summary>An operation that the rate of products limits.</summary>
    public static LayerOperation Product(string name, int calls, double flops, Func<Tensor> work) => new(name, calls, flops, 0, work);

    /// <summary>An operation that the rate of memory limits.</summary>
    public static LayerOperation Pass(string name, int calls, double bytes, Func<Tensor> work) => new(name, calls, 0, bytes, work);
}
