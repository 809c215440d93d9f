using NablaGen.Attention;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Dit;

/// <summary>
/// Rotary position embedding in three axes: the cosines and sines of every token's angles, from its true (t, h, w), in the order of
/// the run's layout. Angles are computed in float64 once a run.
/// </summary>
/// <remarks>Port of rope_params and rope_apply, wan/modules/model.py. The rotation itself is done in float32 instead of float64.</remarks>
public sealed class RopeTable : IDisposable
{
    private const double Theta = 10000;

    /// <summary>The table of a layout's tokens for heads of <paramref name="headDim"/> channels.</summary>
    public RopeTable(BlockLayout layout, int headDim, Device device)
    {
        // Of the D/2 pairs a third rotates with the row, a third with the column, the rest with time.
        var pairs = headDim / 2;
        var third = pairs / 3;
        var axes = new (int Pairs, Func<int, int> Place)[]
        {
            (pairs - 2 * third, token => token / (layout.Height * layout.Width)),
            (third, token => token / layout.Width % layout.Height),
            (third, token => token % layout.Width),
        };
        var table = new float[layout.Tokens * pairs * 2];
        var firstPair = 0;
        foreach (var (count, place) in axes)
        {
            for (var i = 0; i < count; i++)
            {
                var frequency = 1 / Math.Pow(Theta, 2.0 * i / (2 * count));
                for (var token = 0; token < layout.Tokens; token++)
                {
                    var (s, c) = Math.SinCos(place(layout.Order[token]) * frequency);
                    var at = (token * pairs + firstPair + i) * 2;
                    table[at] = (float)c;
                    table[at + 1] = (float)s;
                }
            }

            firstPair += count;
        }

        using var scope = NewDisposeScope();
        Table = tensor(table, [layout.Tokens, pairs, 2]).to(device).DetachFromDisposeScope();
    }

    /// <summary>Cosine and sine of each token's angles. [L, D / 2, 2]</summary>
    public Tensor Table { get; }

    /// <summary>Turns each pair of neighbouring channels by its token's angle. [B, L, H, D] in any type → the same in float32.</summary>
    public Tensor Rotate(Tensor input)
    {
        using var scope = NewDisposeScope();
        var pairs = input.to_type(ScalarType.Float32).unflatten(3, [-1, 2]);
        var (x, y) = (pairs.select(-1, 0), pairs.select(-1, 1));
        var table = Table.unsqueeze(1);
        var (cos, sin) = (table.select(-1, 0), table.select(-1, 1));
        return stack([x * cos - y * sin, (x * sin).Plus(y * cos)], -1).flatten(3).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose() => Table.Dispose();
}
