namespace NablaGen.Weights.Gguf;

/// <summary>Expands one block of a quantised type into float32.</summary>
/// <param name="block">The block's bytes.</param>
/// <param name="values">Its elements.</param>
internal unsafe delegate void GgufExpand(byte* block, float* values);

/// <summary>One of ggml's types of elements (ggml.h, enum ggml_type).</summary>
/// <param name="Name">Its name, as in file names: Q4_K.</param>
/// <param name="Elements">Elements of a block; 1 for plain numbers.</param>
/// <param name="Bytes">Bytes of a block.</param>
/// <param name="Plain">The type of plain numbers; null for a quantised type.</param>
/// <param name="Expand">Expands a block of a quantised type.</param>
internal sealed record GgufType(string Name, int Elements, int Bytes, StoredType? Plain, GgufExpand? Expand)
{
    private static readonly Dictionary<uint, GgufType> Known = Make();

    // What we know by name only, so that an error can say it.
    private static readonly Dictionary<uint, string> Others = new()
    {
        [9] = "Q8_1",
        [15] = "Q8_K",
        [16] = "IQ2_XXS",
        [17] = "IQ2_XS",
        [18] = "IQ3_XXS",
        [19] = "IQ1_S",
        [21] = "IQ3_S",
        [22] = "IQ2_S",
        [29] = "IQ1_M",
        [34] = "TQ1_0",
        [35] = "TQ2_0",
        [39] = "MXFP4",
        [40] = "NVFP4",
    };

    /// <summary>The type of a number in a file; null for one that can't be read.</summary>
    public static GgufType? Find(uint id) => Known.GetValueOrDefault(id);

    /// <summary>What an error calls a type that can't be read, and which can.</summary>
    public static string Unknown(uint id) =>
        $"{Others.GetValueOrDefault(id, "type")} ({id}); expected one of {string.Join(", ", Known.Values.Select(type => type.Name))}";

    private static unsafe Dictionary<uint, GgufType> Make() => new()
    {
        [0] = new("F32", 1, 4, StoredType.F32, null),
        [1] = new("F16", 1, 2, StoredType.F16, null),
        [2] = new("Q4_0", 32, 18, null, GgufBlocks.Q4_0),
        [3] = new("Q4_1", 32, 20, null, GgufBlocks.Q4_1),
        [6] = new("Q5_0", 32, 22, null, GgufBlocks.Q5_0),
        [7] = new("Q5_1", 32, 24, null, GgufBlocks.Q5_1),
        [8] = new("Q8_0", 32, 34, null, GgufBlocks.Q8_0),
        [10] = new("Q2_K", 256, 84, null, GgufKBlocks.Q2),
        [11] = new("Q3_K", 256, 110, null, GgufKBlocks.Q3),
        [12] = new("Q4_K", 256, 144, null, GgufKBlocks.Q4),
        [13] = new("Q5_K", 256, 176, null, GgufKBlocks.Q5),
        [14] = new("Q6_K", 256, 210, null, GgufKBlocks.Q6),
        [20] = new("IQ4_NL", 32, 18, null, GgufBlocks.Iq4Nl),
        [23] = new("IQ4_XS", 256, 136, null, GgufBlocks.Iq4Xs),
        [24] = new("I8", 1, 1, StoredType.I8, null),
        [25] = new("I16", 1, 2, StoredType.I16, null),
        [26] = new("I32", 1, 4, StoredType.I32, null),
        [27] = new("I64", 1, 8, StoredType.I64, null),
        [28] = new("F64", 1, 8, StoredType.F64, null),
        [30] = new("BF16", 1, 2, StoredType.BF16, null),
    };
}
