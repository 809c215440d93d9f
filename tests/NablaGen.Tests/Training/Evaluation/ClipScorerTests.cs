using NablaGen.Training.Evaluation;
using NablaGen.Training.World;
using static TorchSharp.torch;

namespace NablaGen.Tests.Training.Evaluation;

/// <summary>The scorer against clips whose truth is known.</summary>
public class ClipScorerTests
{
    private static readonly ClipSize Size = new(17, 128, 128);

    [Theory]
    [InlineData(WorldSplit.Training)]
    [InlineData(WorldSplit.HeldOut)]
    public void True_clips_are_right_and_with_one_value_changed_they_are_wrong(WorldSplit split)
    {
        using var world = new ShapeWorld(split, 21);
        int clips = 16, right = 0, changed = 0, passed = 0;
        for (int i = 0; i < clips; i++)
        {
            var scene = world.SceneAt(i);
            var measured = Measure(world, scene, frames => frames);
            var truth = Expectation.Of(scene);
            right += truth.Judge(measured).IsSuccess ? 1 : 0;
            foreach (var wrong in Changed(truth, i))
            {
                changed++;
                passed += wrong.Judge(measured).IsSuccess ? 1 : 0;
            }
        }

        Assert.True(right >= clips - 1, $"{right} of {clips} right");
        Assert.True(changed >= 5 * clips && passed <= changed / 50, $"{passed} of {changed} wrong expectations passed");
    }

    [Fact]
    public void Blur_noise_and_coarse_coding_change_little()
    {
        using var world = new ShapeWorld(WorldSplit.All, 22);
        var verdicts = Enumerable.Range(0, 16).Select(i =>
        {
            var scene = world.SceneAt(i);
            return Expectation.Of(scene).Judge(Measure(world, scene, frames => RoughCopy.Of(frames, i)));
        }).ToArray();
        var right = verdicts.Count(verdict => verdict.Attributes.Where(one => one.Attribute < ClipAttribute.Outline).All(one => one.Right));
        Assert.True(right >= 15, $"{right} of 16 right");
        // So coarse a copy at so small a size is not sharp in every frame, which the outline may say.
        var wrong = verdicts.SelectMany(verdict => verdict.Attributes).Where(one => !one.Right && one.Attribute >= ClipAttribute.Outline).ToArray();
        Assert.True(verdicts.Count(verdict => verdict.IsSuccess) >= 11, string.Join('\n', wrong.AsEnumerable()));
    }

    [Fact]
    public void Flicker_and_an_empty_picture_are_seen()
    {
        using var scope = NewDisposeScope();
        using var world = new ShapeWorld(WorldSplit.All, 23);
        var scene = world.SceneAt(0);
        var flicker = Measure(world, scene, frames => frames + (0.1f * tensor(Enumerable.Range(0, 17).Select(t => (float)(t % 2)).ToArray(), [1, 17, 1, 1])));
        var verdict = Expectation.Of(scene).Judge(flicker);
        Assert.False(verdict.Attributes.Single(a => a.Attribute == ClipAttribute.Flicker).Right);

        var nothing = ClipScorer.Measure(zeros([3, 5, 64, 64]));
        Assert.Empty(nothing.Objects);
        var none = Expectation.Of(scene).Judge(nothing);
        Assert.All(none.Attributes.Where(a => a.Attribute is ClipAttribute.Count or ClipAttribute.Colour or ClipAttribute.Motion), a => Assert.False(a.Right));
        Assert.Throws<ArgumentException>(() => ClipScorer.Measure(zeros([1, 3, 5, 64, 64])));
    }

    private static ClipMeasurement Measure(ShapeWorld world, Scene scene, Func<Tensor, Tensor> change)
    {
        using var scope = NewDisposeScope();
        return ClipScorer.Measure(change(world.Render([scene], Size, CPU)[0]));
    }

    // Each attribute in turn with another value.
    private static IEnumerable<Expectation> Changed(Expectation truth, int seed)
    {
        yield return truth with { Count = 3 - truth.Count };
        yield return truth with { Backdrop = Next(truth.Backdrop!.Value) };
        if (truth.Arrangement is { } arrangement)
        {
            yield return truth with { Arrangement = Next(arrangement) };
        }

        for (int i = 0; i < truth.Objects.Count; i++)
        {
            var o = truth.Objects[i];
            yield return With(o with { Colour = Next(o.Colour!.Value) });
            yield return With(o with { Shape = Next(o.Shape!.Value) });
            yield return With(o with { Motion = Next(o.Motion!.Value) });
            if (o.Size is { } size)
            {
                yield return With(o with { Size = Next(size) });
            }

            if (o.Place is { } place)
            {
                yield return With(o with { Place = Next(place) });
            }

            Expectation With(ObjectExpectation other) => truth with { Objects = [.. truth.Objects.Select((was, at) => at == i ? other : was)] };
        }

        T Next<T>(T value)
            where T : struct, Enum
        {
            var all = Enum.GetValues<T>();
            return all[(Array.IndexOf(all, value) + 1 + (seed % (all.Length - 1))) % all.Length];
        }
    }
}
