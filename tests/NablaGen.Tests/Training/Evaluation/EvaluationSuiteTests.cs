using NablaGen.Training.Evaluation;
using NablaGen.Training.World;
using static TorchSharp.torch;

namespace NablaGen.Tests.Training.Evaluation;

public class EvaluationSuiteTests
{
    [Fact]
    public void Prompts_are_of_the_kind_they_say()
    {
        Assert.True(EvaluationSuite.Seen.Count >= 40 && EvaluationSuite.HeldOut.Count >= 20);
        Assert.Equal(EvaluationSuite.All.Count, EvaluationSuite.All.Select(p => p.Text).Distinct().Count());
        Assert.All(EvaluationSuite.All, p => Assert.All(
            p.Expectation.Objects, o => Assert.Equal(p.IsHeldOut, HeldOutRule.IsHeldOut(o.Colour!.Value, o.Shape!.Value, o.Motion!.Value))));
    }

    [Fact]
    public void A_perfect_model_passes_all_of_it()
    {
        using var world = new ShapeWorld(WorldSplit.All);
        var wrong = new List<string>();
        foreach (var prompt in EvaluationSuite.All)
        {
            using var scope = NewDisposeScope();
            var scene = SuiteScenes.Of(prompt);
            var clip = ClipScorer.Measure(world.Render([scene], new ClipSize(13, 96, 96), CPU)[0]);
            // What the prompt asks, and all that a first frame of the scene asks with it.
            foreach (var expectation in new[] { prompt.Expectation, Expectation.Of(scene) })
            {
                wrong.AddRange(expectation.Judge(clip).Attributes.Where(one => !one.Right).Select(one => $"{prompt.Text}: {one}"));
            }
        }

        Assert.Empty(wrong);
    }

    [Fact]
    public void Every_value_is_asked_for()
    {
        var objects = EvaluationSuite.Seen.SelectMany(p => p.Expectation.Objects).ToList();
        Assert.Equal(8, objects.Select(o => o.Colour).Distinct().Count());
        Assert.Equal(6, objects.Select(o => o.Shape).Distinct().Count());
        Assert.Equal(10, objects.Select(o => o.Motion).Distinct().Count());
        Assert.Equal(4, objects.Select(o => o.Size).Distinct().Count());
        Assert.Equal(6, objects.Select(o => o.Place).Distinct().Count());
        Assert.Equal(9, EvaluationSuite.Seen.Select(p => p.Expectation.Backdrop).Distinct().Count());
        Assert.Equal(5, EvaluationSuite.Seen.Select(p => p.Expectation.Arrangement).Distinct().Count());

        var held = EvaluationSuite.HeldOut.SelectMany(p => p.Expectation.Objects).ToList();
        Assert.Equal(10, held.Select(o => o.Motion).Distinct().Count());
        Assert.Equal(8, held.Select(o => o.Colour).Distinct().Count());
        Assert.Equal(6, held.Select(o => o.Shape).Distinct().Count());
    }
}
