using System.Text.Json;
using NablaGen.Generation;
using NablaGen.Models.Wan;
using NablaGen.Training.Evaluation;
using NablaGen.Training.Evaluation.Results;
using NablaGen.Training.Evaluation.Running;
using SkiaSharp;

namespace NablaGen.Tests.Training.Evaluation;

/// <summary>The runner and its arithmetic, with rendered clips instead of a model's.</summary>
public sealed class EvaluationRunnerTests : IDisposable
{
    private const int Prompts = 6;

    private readonly TempFolder _folder = new();
    private readonly RenderedClips _generator = new();

    [Fact]
    public void True_clips_succeed_wrong_ones_do_not_and_the_files_say_so()
    {
        _generator.Wrong["nabla-0.2"] = 4;
        var report = Run();

        // Of the six prompts, 2 and 5 count as held out; wrong are 0 to 3.
        Assert.Equal(["dense", "nabla-0.6", "nabla-0.2", "sta-3-3-3"], report.Expressions.Select(one => one.Attention));
        var (dense, same, bad) = (report.Expressions[0], report.Expressions[1], report.Expressions[2]);
        Assert.Equal((4, 2), (report.SeenPrompts, report.HeldOutPrompts));
        Assert.All(dense.All.Attributes, rate => Assert.True(rate.Value == 1, $"{rate}"));
        Assert.Equal((12, 12, 8, 4), (dense.All.Videos, dense.All.Right, dense.Seen.Right, dense.HeldOut.Right));
        Assert.Equal((1.0, 1.0, null, null), (dense.Seen.Success!.Value, dense.HeldOut.Success!.Value, dense.Psnr, dense.Lost));

        Assert.Equal((double.PositiveInfinity, 1.0, 0, 0), (same.Psnr!.Value, same.Ssim!.Value, same.Lost!.Value, same.Gained!.Value));
        Assert.Equal((0.6, 1.0), (same.Density, same.All.Success!.Value));

        Assert.Equal((2, 2, 8, 0), (bad.Seen.Right, bad.HeldOut.Right, bad.Lost!.Value, bad.Gained!.Value));
        Assert.Equal((0.25, 0.5), (bad.Seen.Success!.Value, bad.HeldOut.Success!.Value));
        Assert.InRange(bad.Psnr!.Value, 3, 30);
        Assert.InRange(bad.Ssim!.Value, 0.1, 0.95);
        Assert.True(bad.All.Attributes[ClipAttribute.Colour] < 1 && bad.All.Attributes[ClipAttribute.Flicker] == 1);
        // Prompt i takes i + 1 seconds: the median of 1 to 6.
        Assert.Equal((3.5, 0.5), (bad.SamplingSeconds, bad.DecodingSeconds));
        // 4 of 16 steps: as large a part as 12 of 50.
        Assert.Equal((0, 4), (bad.DenseSteps, report.Expressions[3].DenseSteps));

        Assert.Null(report.Save(_folder["out"]));
        using var json = JsonDocument.Parse(File.ReadAllText(_folder["out/results.json"]));
        var third = json.RootElement.GetProperty("expressions")[2];
        Assert.Equal(0.25, third.GetProperty("seen").GetProperty("success").GetDouble());
        Assert.Equal(bad.All.Attributes[ClipAttribute.Motion], third.GetProperty("all").GetProperty("attributes").GetProperty("motion").GetDouble());
        Assert.Equal("Infinity", json.RootElement.GetProperty("expressions")[1].GetProperty("psnr").GetString());
        var table = File.ReadAllText(_folder["out/results.md"]);
        Assert.Contains("| dense | 1.000 | 100.0% (67.6–100.0, n 8) | 100.0% (51.0–100.0, n 4) | – | – | – | – | 3.500 | 0.500 |\n", table);
        Assert.Contains("| nabla-0.6 | 0.600 | 100.0% (67.6–100.0, n 8) | 100.0% (51.0–100.0, n 4) | equal | 1.000 | 0 | 0 | 3.500 | 0.500 |\n", table);
        Assert.Contains($"| nabla-0.2 | 0.200 | 25.0% (7.1–59.1, n 8) | 50.0% (15.0–85.0, n 4) | {bad.Psnr:0.0} | {bad.Ssim:0.000} | 8 | 0 |", table);
        Assert.Contains("| sta-3-3-3 (first 4 steps dense) |", table);
        using var plot = SKBitmap.Decode(_folder["out/quality-against-density.png"]);
        Assert.Equal((960, 860), (plot.Width, plot.Height));
        // Two panels: NABLA's best at the top of the upper one, its worst in the lower one.
        Assert.Contains(plot.Pixels[..(200 * 960)], pixel => pixel == new SKColor(30, 90, 170));
        Assert.Contains(plot.Pixels[(400 * 960)..], pixel => pixel == new SKColor(30, 90, 170));
    }

    [Fact]
    public void A_second_run_makes_only_what_is_missing()
    {
        var first = Run();
        Assert.Equal(4 * 3, _generator.Calls.Count);
        var again = Run();
        Assert.Equal(4 * 3, _generator.Calls.Count);
        Assert.Equal(JsonSerializer.Serialize(first.Expressions, RowFile.Json), JsonSerializer.Serialize(again.Expressions, RowFile.Json));

        // Cut off within the last line but two: of the last batch, sta's last two rows.
        var lines = File.ReadAllLines(_folder["rows.jsonl"]);
        Assert.Equal(48, lines.Length);
        File.WriteAllText(_folder["rows.jsonl"], string.Join('\n', lines[..46]) + "\n" + lines[46][..40]);
        _generator.Calls.Clear();
        Run();
        // Dense again for the comparison.
        Assert.Equal([("dense", 2), ("sta-3-3-3", 2)], _generator.Calls);
        Assert.Equal(46 + 1 + 2, File.ReadAllLines(_folder["rows.jsonl"]).Length);

        _generator.Calls.Clear();
        var other = Run(steps: 8, attentions: "nabla-0.6");
        Assert.Equal(2 * 3, _generator.Calls.Count);
        Assert.Equal(8, other.Recipe.Steps);
    }

    [Fact]
    public void What_is_made_before_a_stop_is_kept()
    {
        using var stop = new CancellationTokenSource();
        _generator.OnGenerate = () =>
        {
            if (_generator.Calls.Count == 2)
            {
                stop.Cancel();
            }
        };
        Assert.Throws<OperationCanceledException>(() => Run(cancellation: stop.Token));
        Assert.Equal(["dense", "dense", "dense", "dense", "nabla-0.6", "nabla-0.6", "nabla-0.6", "nabla-0.6"],
            File.ReadAllLines(_folder["rows.jsonl"]).Select(line => JsonDocument.Parse(line).RootElement.GetProperty("recipe").GetProperty("attention").GetString()));

        _generator.OnGenerate = null;
        _generator.Calls.Clear();
        Run();
        Assert.Equal([("dense", 4), ("nabla-0.2", 4), ("sta-3-3-3", 4)], _generator.Calls[..3]);
        Assert.Equal(3 + (2 * 4), _generator.Calls.Count);
    }

    [Fact]
    public void Rows_of_other_weights_or_rules_are_not_taken()
    {
        Run(attentions: "dense");
        using var rows = RowFile.Open(_folder[""]);
        var recipe = _generator.RecipeOf(Plan(16).Request(Plan(16).Prompts[0], 1, Plan(16).Attentions[0]));
        var row = rows.Find(recipe)!;
        Assert.True(row.Is(recipe with { Version = "another" }));
        Assert.Null(rows.Find(recipe with { ModelHash = "1" }));
        Assert.Null(rows.Find(recipe with { Dtype = "bfloat16" }));
        Assert.Null(rows.Find(recipe with { Precision = "fp8" }));
        Assert.Null(rows.Find(recipe with { AttentionPrecision = "eight" }));
        Assert.False((row with { Rules = 0 }).Is(recipe));
        Assert.Contains("rows.jsonl: cannot be opened", Assert.Throws<NablaGenException>(() => RowFile.Open(_folder[""])).Message);
    }

    [Fact]
    public void The_page_names_eight_bits_a_step_cache_and_the_steps_it_leaves()
    {
        var all = new SplitResult(0, 0, new Dictionary<ClipAttribute, double>());
        var one = new ExpressionResult { Attention = "dense", DenseSteps = 0, DenseLayers = 0, Density = 1, All = all, Seen = all, HeldOut = all, SamplingSeconds = 1, DecodingSeconds = 1, Batch = 1 };
        var plan = Plan(16);
        var recipe = _generator.RecipeOf(plan.Request(plan.Prompts[0], 1, plan.Attentions[0]));
        var report = new EvaluationReport { SeenPrompts = 1, HeldOutPrompts = 1, Seeds = [1], Recipe = recipe, Expressions = [one with { ComputedSteps = 16 }] };
        var plain = ResultsTable.Markdown(report);
        Assert.Contains("guidance 1; cpu, float32; weights", plain, StringComparison.Ordinal);
        Assert.DoesNotContain("| steps |", plain, StringComparison.Ordinal);
        var request = plan.Request(plan.Prompts[0], 1, plan.Attentions[0]) with { StepCache = "easy:0.1" };
        var page = ResultsTable.Markdown(report with
        {
            Recipe = _generator.RecipeOf(request) with { Precision = "fp8-inner", AttentionPrecision = "eight" },
            Expressions = [one with { ComputedSteps = 9.5 }],
        });
        Assert.Contains("guidance 1, step cache easy:0.1; cpu, float32, products in fp8-inner, attention in eight bits; weights", page, StringComparison.Ordinal);
        Assert.Contains("| attention | density | steps | seen |", page, StringComparison.Ordinal);
        Assert.Contains("| dense | 1.000 | 9.5 |", page, StringComparison.Ordinal);
    }

    [Fact]
    public void Strips_are_kept_with_what_is_wrong()
    {
        _generator.Wrong["nabla-0.2"] = 1;
        Run(kept: new KeptClips(_folder["kept"], videos: false, strips: true), attentions: "nabla-0.2");
        Assert.Equal(24, Directory.GetFiles(_folder["kept"], "*.png", SearchOption.AllDirectories).Length);
        using var strip = SKBitmap.Decode(Directory.GetFiles(_folder["kept/strips/nabla-0.2"])[0]);
        Assert.True(strip.Width > 6 * 96 && strip.Height > 96);
    }

    [Fact]
    public void Prompts_are_chosen_evenly_and_dense_comes_first()
    {
        Assert.Equal(84, EvaluationPlan.Choose(null).Count);
        foreach (int count in new[] { 3, 12, 30, 84 })
        {
            var chosen = EvaluationPlan.Choose(count);
            Assert.Equal((count, count / 3), (chosen.Distinct().Count(), chosen.Count(prompt => prompt.IsHeldOut)));
        }

        Assert.Equal("prompts must be from 1 to 84, found 85", Assert.Throws<InvalidRequestException>(() => EvaluationPlan.Choose(85)).Message);
        Assert.Equal(["dense", "nabla-0.5"], EvaluationPlan.Parse(["nabla-0.5", "dense"]).Select(one => $"{one}"));
        Assert.Throws<InvalidRequestException>(() => EvaluationPlan.Parse(["nabla-0.5", "nabla-0.50"]));
        Assert.Equal(14, EvaluationPlan.Parse(EvaluationPlan.DefaultAttentions).Count);
    }

    public void Dispose()
    {
        _generator.Dispose();
        _folder.Dispose();
    }

    private EvaluationPlan Plan(int steps, params string[] attentions) => new()
    {
        Prompts = _generator.Prompts(Prompts),
        Seeds = [1, 2],
        Attentions = EvaluationPlan.Parse(attentions.Length > 0 ? attentions : ["nabla-0.6", "nabla-0.2", "sta-3-3-3"]),
        Shared = new PartialRequest { Steps = steps },
        Defaults = GenerationDefaults.Of(WanDefaults.Values.With(
            ("width", RenderedClips.Size.Width), ("height", RenderedClips.Size.Height), ("frames", RenderedClips.Size.Frames), ("guidance", 1))),
    };

    private EvaluationReport Run(int steps = 16, KeptClips? kept = null, CancellationToken cancellation = default, params string[] attentions)
    {
        using var rows = RowFile.Open(_folder[""]);
        return new EvaluationRunner(Plan(steps, attentions), _generator, rows, batch: 4, keeper: kept).Run(cancellation);
    }
}
