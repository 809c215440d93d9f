using NablaGen.Training.World;

namespace NablaGen.Tests.Training;

/// <summary>Two objects of the world, one left of the other, and nothing but that in the caption: "a red ball to the left of a blue square".</summary>
internal sealed class PairsSideBySide : ISceneSource
{
    public Scene SceneAt(long index)
    {
        using var world = new ShapeWorld(WorldSplit.Training);
        return Enumerable.Range(0, 200).Select(i => world.SceneAt((200 * index) + i)).First(scene => scene.Arrangement is Arrangement.LeftOf or Arrangement.RightOf);
    }

    public Caption DescribeAt(long index, int wording)
    {
        var scene = SceneAt(index);
        var side = scene.Arrangement == Arrangement.LeftOf ? "left" : "right";
        return new Caption($"{Name(scene.Objects[0])} to the {side} of {Name(scene.Objects[1])}", CaptionContent.Shapes | CaptionContent.Colours | CaptionContent.Sides);
    }

    private static string Name(SceneObject o) => $"a {o.Colour} {o.Shape}".ToLowerInvariant();
}
