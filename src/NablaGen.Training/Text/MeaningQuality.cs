using NablaGen.Tensors;
using NablaGen.Training.World;
using static TorchSharp.torch;

namespace NablaGen.Training.Text;

/// <summary>
/// How often both objects are told right, of the pairs that differ in an attribute and whose captions say it of both objects and say
/// their sides. A bag of words can but guess which is which: half of them.
/// </summary>
public sealed class MeaningQuality
{
    // In the order of SceneAnswers' attributes.
    private static readonly (string Name, CaptionContent Said)[] Attributes =
        [("shapes", CaptionContent.Shapes), ("colours", CaptionContent.Colours), ("motions", CaptionContent.Motions)];

    private readonly long[] _right = new long[Attributes.Length];
    private readonly long[] _asked = new long[Attributes.Length];

    /// <summary>The share of an attribute, and of how many pairs it is.</summary>
    /// <param name="attribute">0: shapes, 1: colours, 2: motions.</param>
    public (double Share, long Pairs) this[int attribute] => ((double)_right[attribute] / Math.Max(1, _asked[attribute]), _asked[attribute]);

    /// <summary>Counts captions in.</summary>
    /// <param name="right">Whether an attribute of both objects is right. bool [B, attributes]</param>
    /// <param name="answers">The truth.</param>
    public void Add(Tensor right, SceneAnswers answers)
    {
        ArgumentNullException.ThrowIfNull(right);
        ArgumentNullException.ThrowIfNull(answers);
        using var scope = NewDisposeScope();
        for (var i = 0; i < Attributes.Length; i++)
        {
            var said = (long)(Attributes[i].Said | CaptionContent.Sides);
            var differs = answers.Objects.select(1, 0).select(1, i).ne(answers.Objects.select(1, 1).select(1, i));
            var asked = answers.Pairs.logical_and(answers.Says.bitwise_and(said).IsEqualTo(said)).logical_and(differs);
            _asked[i] += asked.sum().item<long>();
            _right[i] += asked.logical_and(right.select(1, i)).sum().item<long>();
        }
    }

    /// <inheritdoc/>
    public override string ToString() => "of unseen pairs whose captions tell them apart, right of both objects are "
        + string.Join(", ", Attributes.Select((attribute, i) => $"{attribute.Name} {this[i].Share:P0} ({this[i].Pairs})"));
}
