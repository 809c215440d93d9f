using NablaGen.Tensors;
using NablaGen.Training.World;
using static TorchSharp.torch;

namespace NablaGen.Training.Text;

/// <summary>How far answers are from the truth.</summary>
/// <remarks>
/// Where a caption does not say which of two objects is on which side, either order counts as right, the nearer one: what belongs to
/// which object is to be known even where its side is not.
/// </remarks>
public static class MeaningLoss
{
    /// <summary>The cross-entropy an attribute, and which objects were told right.</summary>
    /// <param name="objects">A logit an answer. [B, 2, sum of classes]</param>
    /// <param name="scenes">A logit an answer. [B, sum of classes]</param>
    /// <param name="answers">The truth.</param>
    /// <returns>Loss []; whether each attribute of both objects is right, in the order that counts. bool [B, attributes]</returns>
    public static (Tensor Loss, Tensor Right) Of(Tensor objects, Tensor scenes, SceneAnswers answers)
    {
        ArgumentNullException.ThrowIfNull(answers);
        using var scope = NewDisposeScope();
        var swapped = answers.Objects.flip(1);
        var (straightLoss, straightRight) = Compare(objects, answers.Objects, SceneAnswers.ObjectClasses);
        var (swappedLoss, swappedRight) = Compare(objects, swapped, SceneAnswers.ObjectClasses);
        var isFree = answers.Pairs.logical_and(answers.Says.bitwise_and((long)CaptionContent.Sides).IsEqualTo(0));
        var isSwapped = isFree.logical_and(swappedLoss.sum([1, 2]).lt(straightLoss.sum([1, 2]))).view(-1, 1, 1);
        var right = where(isSwapped, swappedRight, straightRight).all(1);

        // A second object counts where there is one.
        var counts = stack([ones_like(answers.Pairs), answers.Pairs], 1).to_type(ScalarType.Float32);
        var ofObjects = (where(isSwapped, swappedLoss, straightLoss).sum(2) * counts).sum() / counts.sum();
        var (sceneLoss, _) = Compare(scenes, answers.Scenes, SceneAnswers.SceneClasses);
        var loss = ofObjects.Plus(sceneLoss.sum(1).mean()).Over(SceneAnswers.ObjectClasses.Count + SceneAnswers.SceneClasses.Count);
        return (loss.MoveToOuterDisposeScope(), right.MoveToOuterDisposeScope());
    }

    // [..., sum of classes], [..., attributes] → the cross-entropies and whether the likeliest answer is right, both [..., attributes]
    private static (Tensor Loss, Tensor Right) Compare(Tensor logits, Tensor answers, IReadOnlyList<int> classes)
    {
        var (losses, rights) = (new List<Tensor>(), new List<Tensor>());
        long start = 0;
        for (var i = 0; i < classes.Count; i++)
        {
            var own = logits.narrow(-1, start, classes[i]);
            var answer = answers.narrow(-1, i, 1);
            losses.Add(-own.log_softmax(-1).gather(-1, answer));
            rights.Add(own.argmax(-1, keepdim: true).eq(answer));
            start += classes[i];
        }

        return (cat(losses, -1), cat(rights, -1));
    }
}
