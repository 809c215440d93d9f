using NablaGen.Training.Evaluation;
using NablaGen.Training.World;
using static TorchSharp.torch;

namespace NablaGen.Tests.Training.Evaluation;

/// <summary>How often the scorer is right about rendered clips, by attribute.</summary>
internal sealed class ScorerRates
{
    private readonly Dictionary<ClipAttribute, (int Right, int All)> _counts = [];

    /// <summary>What was wrong, a line each.</summary>
    public List<string> Errors { get; } = [];

    /// <summary>The worst of what is measured in every frame: how near the truth comes to the bars.</summary>
    public (double Misfit, double Jump, double Ghosts, double Blocks) Worst { get; private set; }

    /// <summary>The part of the clips of which everything is right.</summary>
    public double Success { get; private set; }

    /// <summary>The part that is right of what was asked, by attribute.</summary>
    public IReadOnlyDictionary<ClipAttribute, double> Rates => _counts.ToDictionary(c => c.Key, c => c.Value.Right / (double)c.Value.All);

    /// <summary>Renders and measures clips.</summary>
    /// <param name="clips">How many.</param>
    /// <param name="size">Their size.</param>
    /// <param name="change">What becomes of a clip's frames before they are measured; gets the clip's number.</param>
    public static ScorerRates Measure(int clips, ClipSize size, Func<Tensor, int, Tensor>? change = null)
    {
        using var world = new ShapeWorld(WorldSplit.All, 31);
        var rates = new ScorerRates();
        int right = 0;
        for (int i = 0; i < clips; i++)
        {
            using var scope = NewDisposeScope();
            var scene = world.SceneAt(i);
            var frames = world.Render([scene], size, CPU)[0];
            var measured = ClipScorer.Measure(change is null ? frames : change(frames, i));
            var verdict = Expectation.Of(scene).Judge(measured);
            rates.Worst = (
                Math.Max(rates.Worst.Misfit, measured.Objects.Select(o => o.Outline.Worst).DefaultIfEmpty(1).Max()),
                Math.Max(rates.Worst.Jump, measured.Objects.Select(o => o.Jump).DefaultIfEmpty(0).Max()),
                Math.Max(rates.Worst.Ghosts, measured.Ghosts), Math.Max(rates.Worst.Blocks, measured.Blocks));
            right += verdict.IsSuccess ? 1 : 0;
            foreach (var one in verdict.Attributes)
            {
                var (good, all) = rates._counts.GetValueOrDefault(one.Attribute);
                rates._counts[one.Attribute] = (good + (one.Right ? 1 : 0), all + 1);
                if (!one.Right)
                {
                    rates.Errors.Add($"clip {i}, {world.CaptionAt(i)}: {one.Attribute} {one.Expected}, found {one.Found}");
                }
            }
        }

        rates.Success = right / (double)clips;
        return rates;
    }

    /// <inheritdoc/>
    public override string ToString() =>
        $"all right {Success:P1}; {string.Join(", ", _counts.OrderBy(c => c.Key).Select(c => $"{c.Key} {c.Value.Right}/{c.Value.All}"))}; worst misfit {Worst.Misfit:F3}, jump {Worst.Jump:F2}, ghosts {Worst.Ghosts:F4}, blocks {Worst.Blocks:F4}\n{string.Join('\n', Errors)}";
}
