using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Weights.Lora;

/// <summary>One change of a tensor: factor · B A, or factor · a whole difference.</summary>
/// <param name="Source">The LoRA's file.</param>
/// <param name="Key">The key of B, or of the difference.</param>
/// <param name="Down">The key of A; null for a difference.</param>
/// <param name="Factor">Strength and scaling.</param>
internal sealed record LoraDelta(ITensorSource Source, string Key, string? Down, double Factor)
{
    // Rows of a product at a time: no second copy of a large matrix.
    private const long PieceElements = 4 << 20;

    /// <summary>Adds the change to weights in place.</summary>
    /// <param name="weights">Contiguous, float32, on the CPU. Any shape</param>
    public void AddTo(Tensor weights)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var first = Read(Key);
        if (Down is null)
        {
            weights.Plus_(first.reshape(weights.shape), Factor);
            return;
        }

        // A convolution's factors have more sides: [rank, in, …] and [out, rank, 1, …].
        var (up, down) = (first.flatten(1), Read(Down).flatten(1));
        var matrix = weights.flatten(1);
        var rows = Math.Max(1, PieceElements / matrix.shape[1]);
        for (long row = 0; row < matrix.shape[0]; row += rows)
        {
            using var piece = NewDisposeScope();
            var count = Math.Min(rows, matrix.shape[0] - row);
            matrix.narrow(0, row, count).Plus_(up.narrow(0, row, count).mm(down), Factor);
        }
    }

    private Tensor Read(string key) => Source.Read(key).to_type(ScalarType.Float32);
}
