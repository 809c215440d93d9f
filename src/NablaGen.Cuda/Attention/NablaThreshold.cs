namespace NablaGen.Cuda.Attention;

/// <summary>NABLA's threshold on the GPU: the share of the softmax's mass that kept blocks carry, one for all heads or one for each.</summary>
public readonly record struct NablaThreshold
{
    private NablaThreshold(double value, nint dropped) => (Value, Dropped) = (value, dropped);

    /// <summary>The threshold of all heads, 0 to 1; without effect where <see cref="Dropped"/> is not 0.</summary>
    public double Value { get; }

    /// <summary>Device address of 1 − threshold for each head of the mask, batch and all, as float32; 0 for none.</summary>
    public nint Dropped { get; }

    /// <summary>One threshold for all heads, 0 to 1: 0.7 in <c>nabla-0.7</c>.</summary>
    public static implicit operator NablaThreshold(double value) => value is >= 0 and <= 1
        ? new(value, 0)
        : throw new ArgumentException($"NABLA's threshold is {value}; it is a share of the mass, 0 to 1.");

    /// <summary>A threshold for each head of the mask.</summary>
    /// <param name="dropped">Device address of 1 − threshold, float32 [mask.Heads].</param>
    public static NablaThreshold ByHead(nint dropped) => new(0, dropped);

    /// <summary>The same for the heads from one on.</summary>
    internal NablaThreshold From(int head) => Dropped == 0 ? this : new(Value, Dropped + sizeof(float) * head);
}
