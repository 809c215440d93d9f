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

    private readonly BlockLayout _layout;
    private readonly int _pairs;
    private readonly Device _device;

    /// <summary>The table of a layout's tokens for heads of <paramref name="headDim"/> channels.</summary>
    public RopeTable(BlockLayout layout, int headDim, Device device)
    {
        (_layout, _pairs, _device) = (layout, headDim / 2, device);
        var table = new float[layout.Tokens * _pairs * 2];
        Fill(_pairs, (at, angle) =>
        {
            var (s, c) = Math.SinCos(angle);
            table[2 * at] = (float)c;
            table[2 * at + 1] = (float)s;
        });

        using var scope = NewDisposeScope();
        Table = tensor(table, [layout.Tokens, _pairs, 2]).to(device).DetachFromDisposeScope();
    }

    /// <summary>Cosine and sine of each token's angles. [L, D / 2, 2]</summary>
    public Tensor Table { get; }

    /// <summary>Turns each pair of neighbouring channels by its token's angle. [B, L, H, D] in any type → the same in float32.</summary>
    public Tensor Rotate(Tensor input)
    {
        using var scope = NewDisposeScope();
        return Turn(input, Table.unsqueeze(1), back: false).MoveToOuterDisposeScope();
    }

    /// <summary>The first angles of each token in radians, float64. [L, pairs]</summary>
    /// <param name="pairs">How many.</param>
    public Tensor Angles(int pairs)
    {
        var angles = new double[_layout.Tokens * pairs];
        Fill(pairs, (at, angle) => angles[at] = angle);
        using var scope = NewDisposeScope();
        return tensor(angles, [_layout.Tokens, pairs]).to(_device).MoveToOuterDisposeScope();
    }

    /// <summary>Turns pairs of neighbouring channels by angles, or back by them. [..., D] in any type → the same in float32.</summary>
    /// <param name="input">[..., D]</param>
    /// <param name="table">Cosines and sines. [..., D / 2, 2]</param>
    /// <param name="back">Whether the other way round.</param>
    internal static Tensor Turn(Tensor input, Tensor table, bool back)
    {
        using var scope = NewDisposeScope();
        var pairs = input.to_type(ScalarType.Float32).unflatten(input.dim() - 1, [-1, 2]);
        var (x, y) = (pairs.select(-1, 0), pairs.select(-1, 1));
        var (cos, sin) = (table.select(-1, 0), back ? -table.select(-1, 1) : table.select(-1, 1));
        return stack([x * cos - y * sin, (x * sin).Plus(y * cos)], -1).flatten(-2).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose() => Table.Dispose();

    // Of the D/2 pairs a third rotates with the row, a third with the column, the rest with time. Gives the first `pairs` of each token.
    private void Fill(int pairs, Action<int, double> give)
    {
        var layout = _layout;
        var third = _pairs / 3;
        var axes = new (int Pairs, Func<int, int> Place)[]
        {
            (_pairs - 2 * third, token => token / (layout.Height * layout.Width)),
            (third, token => token / layout.Width % layout.Height),
            (third, token => token % layout.Width),
        };
        var firstPair = 0;
        foreach (var (count, place) in axes)
        {
            for (var i = 0; i < count && firstPair + i < pairs; i++)
            {
                var frequency = 1 / Math.Pow(Theta, 2.0 * i / (2 * count));
                for (var token = 0; token < layout.Tokens; token++)
                {
                    give(token * pairs + firstPair + i, place(layout.Order[token]) * frequency);
                }
            }

            firstPair += count;
        }
    }
}
