namespace NablaGen.Cuda.Attention;

/// <summary>
/// Q, K, V or an output in device memory: [batch, heads, tokens, head size] seen through strides, the head's columns contiguous.
/// Strides count elements.
/// </summary>
/// <param name="Pointer">Device address of the first element, a multiple of 16.</param>
/// <param name="Type">Element type.</param>
/// <param name="Batch">Number of sequences.</param>
/// <param name="Heads">Heads.</param>
/// <param name="Tokens">Tokens a sequence.</param>
/// <param name="HeadSize">Columns a head: 64 or 128.</param>
/// <param name="BatchStride">From one sequence to the next.</param>
/// <param name="HeadStride">From one head to the next.</param>
/// <param name="TokenStride">From one token to the next.</param>
public readonly record struct AttentionTensor(
    nint Pointer, ElementType Type, int Batch, int Heads, int Tokens, int HeadSize, long BatchStride, long HeadStride, long TokenStride)
{
    /// <summary>Batch times heads: the number of attentions.</summary>
    public int Rows => Batch * Heads;

    /// <summary>A contiguous [batch, heads, tokens, head size] tensor.</summary>
    public static AttentionTensor HeadsFirst(nint pointer, ElementType type, int batch, int heads, int tokens, int headSize) =>
        new(pointer, type, batch, heads, tokens, headSize, (long)heads * tokens * headSize, (long)tokens * headSize, headSize);

    /// <summary>A contiguous [batch, tokens, heads, head size] tensor, as a linear layer leaves it.</summary>
    public static AttentionTensor TokensFirst(nint pointer, ElementType type, int batch, int heads, int tokens, int headSize) =>
        new(pointer, type, batch, heads, tokens, headSize, (long)tokens * heads * headSize, headSize, (long)heads * headSize);

    /// <summary>Fails unless the kernels can read this tensor.</summary>
    internal void Require(string name, BlockOffsets offsets)
    {
        if (Tokens != offsets.Tokens)
        {
            throw new ArgumentException($"{name}: {Batch} × {Heads} heads × {Tokens} tokens; the blocks hold {offsets.Tokens} tokens.");
        }

        Require(name);
    }

    /// <summary>The same where no blocks are known.</summary>
    internal void Require(string name)
    {
        if (HeadSize is not (64 or 128))
        {
            throw new ArgumentException($"{name}: head size {HeadSize}; the attention kernels have 64 and 128.");
        }

        if (Batch < 1 || Heads < 1 || Tokens < 1)
        {
            throw new ArgumentException($"{name}: {Batch} × {Heads} heads × {Tokens} tokens; at least one of each.");
        }

        if (Pointer == 0 || Pointer % 16 != 0 || TokenStride % 8 != 0 || HeadStride % 8 != 0 || BatchStride % 8 != 0)
        {
            throw new ArgumentException($"{name}: pointer and strides must be multiples of 16 bytes (pointer 0x{Pointer:x}, strides "
                + $"{BatchStride}, {HeadStride}, {TokenStride} elements).");
        }
    }

    /// <summary>Fails unless this tensor has the shape and type of <paramref name="q"/>.</summary>
    internal void RequireLike(AttentionTensor q, string name)
    {
        if ((Type, Batch, Heads, Tokens, HeadSize) != (q.Type, q.Batch, q.Heads, q.Tokens, q.HeadSize))
        {
            throw new ArgumentException($"{name} is {Type} [{Batch}, {Heads}, {Tokens}, {HeadSize}]; q is {q.Type} "
                + $"[{q.Batch}, {q.Heads}, {q.Tokens}, {q.HeadSize}].");
        }
    }

    /// <summary>Macros that every kernel over such tensors takes.</summary>
    internal string[] Macros(params ReadOnlySpan<string> more) =>
    [
        $"HEAD_DIM={HeadSize}", .. Type == ElementType.Float16 ? ["NABLAGEN_FP16"] : Array.Empty<string>(), .. more,
    ];
}
