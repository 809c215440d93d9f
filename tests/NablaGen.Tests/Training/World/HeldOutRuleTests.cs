using NablaGen.Training.World;

namespace NablaGen.Tests.Training.World;

public class HeldOutRuleTests
{
    private const int Scenes = 20_000;

    [Fact]
    public void Training_never_shows_a_held_out_combination_and_shows_every_other()
    {
        using var world = new ShapeWorld(WorldSplit.Training);
        var shown = new HashSet<(ObjectColour, ShapeKind, MotionKind)>();
        int pairs = 0;
        for (int i = 0; i < Scenes; i++)
        {
            var scene = world.SceneAt(i);
            Assert.False(scene.IsHeldOut);
            pairs += scene.Objects.Count - 1;
            foreach (var o in scene.Objects)
            {
                Assert.False(HeldOutRule.IsHeldOut(o.Colour, o.Shape, o.Motion));
                shown.Add((o.Colour, o.Shape, o.Motion));
            }
        }

        Assert.Equal(480 - 60, shown.Count);
        Assert.InRange(pairs, 0.43 * Scenes, 0.47 * Scenes);
    }

    [Fact]
    public void The_held_out_split_shows_nothing_else_and_all_of_it()
    {
        using var world = new ShapeWorld(WorldSplit.HeldOut);
        var shown = new HashSet<(ObjectColour, ShapeKind, MotionKind)>();
        foreach (var o in Enumerable.Range(0, 3000).SelectMany(i => world.SceneAt(i).Objects))
        {
            Assert.True(HeldOutRule.IsHeldOut(o.Colour, o.Shape, o.Motion));
            shown.Add((o.Colour, o.Shape, o.Motion));
        }

        Assert.Equal(60, shown.Count);
    }

    [Fact]
    public void Every_pair_of_values_is_still_often_in_training()
    {
        using var world = new ShapeWorld(WorldSplit.Training);
        var objects = Enumerable.Range(0, Scenes).SelectMany(i => world.SceneAt(i).Objects).ToList();

        AllPairs(objects.CountBy(o => (o.Colour, o.Shape)), 48);
        AllPairs(objects.CountBy(o => (o.Colour, o.Motion)), 80);
        AllPairs(objects.CountBy(o => (o.Shape, o.Motion)), 60);

        void AllPairs<T>(IEnumerable<KeyValuePair<T, int>> counts, int pairs)
        {
            var all = counts.ToList();
            Assert.Equal(pairs, all.Count);
            Assert.All(all, c => Assert.True(c.Value > 0.5 * objects.Count / pairs, $"{c.Key}: {c.Value}"));
        }
    }
}
