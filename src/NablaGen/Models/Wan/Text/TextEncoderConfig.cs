namespace NablaGen.Models.Wan.Text;

/// <summary>The sizes of a umT5 encoder (T5Encoder, wan/modules/t5.py). Wan's own is <see cref="UmT5Xxl"/>.</summary>
public sealed record TextEncoderConfig
{
    /// <summary>umT5-XXL, the text encoder of every Wan2.1 model.</summary>
    public static TextEncoderConfig UmT5Xxl { get; } = new()
    {
        Vocab = 256384,
        Dim = 4096,
        DimAttn = 4096,
        DimFfn = 10240,
        NumHeads = 64,
        NumLayers = 24,
    };

    /// <summary>Rows of the token embedding.</summary>
    public required int Vocab { get; init; }

    /// <summary>Hidden width.</summary>
    public required int Dim { get; init; }

    /// <summary>Width of all attention heads together.</summary>
    public required int DimAttn { get; init; }

    /// <summary>Width of the feed-forward layer.</summary>
    public required int DimFfn { get; init; }

    /// <summary>Attention heads.</summary>
    public required int NumHeads { get; init; }

    /// <summary>Encoder layers.</summary>
    public required int NumLayers { get; init; }

    /// <summary>Buckets of the relative position bias.</summary>
    public int NumBuckets { get; init; } = 32;

    /// <summary>Whether all layers share one position bias (T5) or each has its own (umT5).</summary>
    public bool SharedPos { get; init; }
}
