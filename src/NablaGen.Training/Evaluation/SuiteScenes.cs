using NablaGen.Training.World;

namespace NablaGen.Training.Evaluation;

/// <summary>Scenes that show what the suite's prompts ask for: what a perfect model would make, and the pictures that a model is told.</summary>
internal static class SuiteScenes
{
    /// <summary>The first scene drawn that moves as a prompt asks, in its colours and before its backdrop. The same for a prompt each time.</summary>
    public static Scene Of(EvaluationPrompt prompt)
    {
        var asked = prompt.Expectation;
        for (int i = 0; ; i++)
        {
            var scene = SceneSampler.Sample(SplitMix64.For(51, 0, i), WorldSplit.All);
            if (scene.Objects.Count == asked.Count && scene.Arrangement == (asked.Arrangement ?? scene.Arrangement)
                && scene.Objects.Zip(asked.Objects).All(pair => Moves(pair.First, pair.Second)))
            {
                return scene with
                {
                    Objects = [.. scene.Objects.Zip(asked.Objects, (o, expected) => o with { Colour = expected.Colour ?? o.Colour })],
                    Backdrop = asked.Backdrop ?? scene.Backdrop,
                };
            }
        }
    }

    private static bool Moves(SceneObject o, ObjectExpectation asked) =>
        o.Shape == asked.Shape && o.Motion == asked.Motion && o.Size == (asked.Size ?? o.Size) && o.Place == (asked.Place ?? o.Place);
}
