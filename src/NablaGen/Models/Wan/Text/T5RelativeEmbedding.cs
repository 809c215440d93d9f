using NablaGen.Tensors;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Text;

/// <summary>
/// A bias for each head by the distance from query to key, in buckets that widen with it; both directions have their own. Port of
/// T5RelativeEmbedding, wan/modules/t5.py.
/// </summary>
public sealed class T5RelativeEmbedding : Module<long, Tensor>
{
    private const int MaxDistance = 128;

    private readonly int _buckets;

    [ComponentName(Name = "embedding")]
    private readonly T5Embedding _embedding;

    /// <summary>The biases of a layer.</summary>
    public T5RelativeEmbedding(TextEncoderConfig config, ModuleOptions options)
        : base(nameof(T5RelativeEmbedding))
    {
        _buckets = config.NumBuckets;
        _embedding = new T5Embedding(config.NumBuckets, config.NumHeads, options);
        RegisterComponents();
    }

    /// <summary>The bias of a sequence of <paramref name="length"/> tokens. [1, heads, length, length]</summary>
    public override Tensor forward(long length)
    {
        using var scope = NewDisposeScope();
        var places = TensorArithmetic.Range(length, _embedding.parameters().First().device);
        var buckets = Bucket(places.unsqueeze(0) - places.unsqueeze(1));
        return _embedding.forward(buckets).permute(2, 0, 1).unsqueeze(0).contiguous().MoveToOuterDisposeScope();
    }

    // The first quarter of the buckets are exact distances, the rest logarithmic up to MaxDistance; keys ahead use the upper half.
    private Tensor Bucket(Tensor distance)
    {
        var half = _buckets / 2;
        var exact = half / 2;
        var ahead = distance.IsAbove(0).to_type(ScalarType.Int64).Times(half);
        distance = distance.abs();
        var wide = log(distance.to_type(ScalarType.Float32).Over(exact)).Over(Math.Log((double)MaxDistance / exact)).Times(half - exact)
            .to_type(ScalarType.Int64).Plus(exact);
        return ahead.Plus(where(distance.IsBelow(exact), distance, wide.AtMost(half - 1)));
    }
}
