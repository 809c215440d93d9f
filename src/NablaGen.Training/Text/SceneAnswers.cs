using NablaGen.Training.World;
using static TorchSharp.torch;

namespace NablaGen.Training.Text;

/// <summary>What <see cref="MeaningHeads"/> should say of scenes, and what is known of their captions. The caller disposes of it.</summary>
/// <param name="Objects">Of each object the number of its shape, colour, motion, size and place; the left or upper one comes first, and alone twice. int64 [B, 2, 5]</param>
/// <param name="Scenes">How the objects lie (alone, beside, one above the other) and the backdrop. int64 [B, 2]</param>
/// <param name="Pairs">Whether there are two objects. [B]</param>
/// <param name="Says">The caption's <see cref="CaptionContent"/>. int64 [B]</param>
public sealed record SceneAnswers(Tensor Objects, Tensor Scenes, Tensor Pairs, Tensor Says) : IDisposable
{
    /// <summary>Answers an object's attribute may have: shape, colour, motion, size or none, place or none.</summary>
    public static IReadOnlyList<int> ObjectClasses { get; } =
        [Count<ShapeKind>(), Count<ObjectColour>(), Count<MotionKind>(), Count<ObjectSize>() + 1, Count<Place>() + 1];

    /// <summary>Answers a scene's attribute may have: arrangement, backdrop.</summary>
    public static IReadOnlyList<int> SceneClasses { get; } = [3, Count<Backdrop>()];

    /// <summary>The answers of scenes.</summary>
    /// <param name="scenes">The scenes.</param>
    /// <param name="says">What the caption of each says.</param>
    /// <param name="device">Where the answers are to be.</param>
    public static SceneAnswers Of(IReadOnlyList<Scene> scenes, IReadOnlyList<CaptionContent> says, Device device)
    {
        using var scope = NewDisposeScope();
        return new SceneAnswers(
            Move(tensor([.. scenes.SelectMany(BothObjects)], [scenes.Count, 2, ObjectClasses.Count])),
            Move(tensor([.. scenes.SelectMany(Whole)], [scenes.Count, SceneClasses.Count])),
            Move(tensor(scenes.Select(scene => scene.Arrangement is not null).ToArray())),
            Move(tensor(says.Select(content => (long)content).ToArray())));

        Tensor Move(Tensor answers) => answers.to(device).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Objects.Dispose();
        Scenes.Dispose();
        Pairs.Dispose();
        Says.Dispose();
    }

    private static IEnumerable<long> BothObjects(Scene scene)
    {
        var (a, b) = (scene.Objects[0], scene.Objects[^1]);
        return scene.Arrangement is Arrangement.RightOf or Arrangement.Below ? [.. One(b), .. One(a)] : [.. One(a), .. One(b)];
    }

    private static long[] One(SceneObject o) => [(long)o.Shape, (long)o.Colour, (long)o.Motion, o.Size is { } size ? 1 + (long)size : 0, o.Place is { } place ? 1 + (long)place : 0];

    private static long[] Whole(Scene scene) =>
        [scene.Arrangement switch { null => 0, Arrangement.LeftOf or Arrangement.RightOf => 1, _ => 2 }, (long)scene.Backdrop];

    private static int Count<T>()
        where T : struct, Enum => Enum.GetValues<T>().Length;
}
