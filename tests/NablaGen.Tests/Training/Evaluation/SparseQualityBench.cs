using System.Globalization;
using System.Text.Json;
using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Models;
using NablaGen.Training.Evaluation;
using NablaGen.Training.Evaluation.Generation;
using NablaGen.Training.Evaluation.Results;
using NablaGen.Training.Evaluation.Running;

namespace NablaGen.Tests.Training.Evaluation;

/// <summary>
/// What sparse attention does to a model, by what is kept dense beside it, how long masks serve, the pooled tail, and step caches: PSNR and SSIM to the dense
/// video, at one density. The rows are in docs/evaluation.md#stock-weights. Not a test: run with <c>-explicit only -class '*SparseQualityBench'</c>.
/// </summary>
public class SparseQualityBench
{
    /// <summary>A way to be sparse.</summary>
    /// <param name="Name">What the table calls it.</param>
    /// <param name="Suffix">What follows the threshold in the expression.</param>
    /// <param name="DenseSteps">First steps kept dense.</param>
    /// <param name="DenseLayers">First layers kept dense.</param>
    /// <param name="MaskEvery">Steps that a mask serves.</param>
    /// <param name="Frozen">The threshold by which the last dense step chooses all masks; null where a target density finds it.</param>
    /// <param name="Cache">The step cache.</param>
    /// <param name="IsDense">Whether nothing is sparse, and the cache is all there is.</param>
    private sealed record Way(
        string Name, string Suffix = "", int DenseSteps = 0, int DenseLayers = 0, int MaskEvery = 1, double? Frozen = null, string Cache = StepCaches.None,
        bool IsDense = false);

    private static readonly Way[] Ways =
    [
        new("nabla"), new("tail", "+tail"), new("floor 3", "+top3"), new("1 dense step", "", 1), new("2 dense steps", "", 2),
        new("1 dense step, floor 3", "+top3", 1), new("2 dense steps, floor 2", "+top2", 2), new("1 dense step, floor 3, tail", "+top3+tail", 1),
        new("1 dense step, floor 3, masks for 4", "+top3", 1, 0, 4), new("masks from step 2", "", 2, Frozen: 0.3), new("3 dense steps", "", 3),
        new("1 dense layer", DenseLayers: 1), new("2 dense steps, tail", "+tail", 2), new("2 dense steps, masks for 4", "", 2, 0, 4),
        new("masks from step 2, tail", "+tail", 2, Frozen: 0.3),
        new("dense, easy 0.02", Cache: "easy:0.02", IsDense: true), new("dense, easy 0.05", Cache: "easy:0.05", IsDense: true),
        new("dense, easy 0.1", Cache: "easy:0.1", IsDense: true), new("easy 0.05", Cache: "easy:0.05"), new("easy 0.1", Cache: "easy:0.1"),
        new("2 dense steps, tail, easy 0.05", "+tail", 2, Cache: "easy:0.05"), new("2 dense steps, floor 2, easy 0.05", "+top2", 2, Cache: "easy:0.05"),
    ];

    [Fact(Explicit = true), Trait("bench", "quality")]
    public void Write_rows()
    {
        var (path, output) = (Setting("MODEL", Toys.Box), Setting("OUT", Path.Combine(Path.GetTempPath(), "sparse-quality.jsonl")));
        var density = double.Parse(Setting("DENSITY", "0.25"), CultureInfo.InvariantCulture);
        var (count, only) = (int.Parse(Setting("PROMPTS", "2"), CultureInfo.InvariantCulture), Setting("ONLY", "").Split(';', StringSplitOptions.RemoveEmptyEntries));
        var model = VideoModel.Open(path);
        var device = DeviceChoice.Resolve(Setting("DEVICE", "cpu"));
        var defaults = GenerationDefaults.Of(model);
        using var generator = new ModelClipGenerator(model, device, DeviceChoice.ResolveDtype("auto", device));
        var prompts = EvaluationPlan.Choose(count);
        GenerationRequest Request(EvaluationPrompt prompt, Way? way)
        {
            var request = new PartialRequest { Prompt = prompt.Text, Seed = 1, Attention = AttentionExpression.Dense }.With(RequestFields.StepCache, way?.Cache ?? StepCaches.None);
            if (way is { IsDense: false })
            {
                var threshold = way.Frozen ?? 0.6;
                request = request with
                {
                    Attention = AttentionExpression.Parse(string.Create(CultureInfo.InvariantCulture, $"nabla-{threshold}{way.Suffix}")),
                    TargetDensity = way.Frozen is null ? density : null,
                    DenseSteps = way.DenseSteps,
                    DenseLayers = way.DenseLayers,
                };
                request = request.With(RequestFields.MaskEvery, way.MaskEvery).With(RequestFields.MaskFromStep, way.Frozen is null ? null : way.DenseSteps);
            }

            var whole = request.ToRequest(defaults);
            whole.Check(model);
            return whole;
        }

        generator.Prepare([.. prompts.Select(prompt => Request(prompt, null))], TestContext.Current.CancellationToken);
        using var file = new StreamWriter(output, append: true);
        foreach (var prompt in prompts)
        {
            var dense = generator.Generate([Request(prompt, null)], TestContext.Current.CancellationToken).Single();
            Write(file, prompt, "dense", dense, new ReferenceQuality(double.PositiveInfinity, 1));
            foreach (var way in Ways.Where(way => only.Length == 0 || only.Contains(way.Name)))
            {
                var clip = generator.Generate([Request(prompt, way)], TestContext.Current.CancellationToken).Single();
                Write(file, prompt, way.Name, clip, ReferenceQuality.Measure(dense.Frames, clip.Frames));
            }
        }
    }

    private static void Write(StreamWriter file, EvaluationPrompt prompt, string way, GeneratedClip clip, ReferenceQuality quality)
    {
        file.WriteLine(JsonSerializer.Serialize(new
        {
            prompt = prompt.Text,
            way,
            density = Math.Round(clip.Density, 4),
            psnr = double.IsFinite(quality.Psnr) ? Math.Round(quality.Psnr, 2) : (double?)null,
            ssim = Math.Round(quality.Ssim, 4),
            succeeds = prompt.Expectation.Judge(ClipScorer.Measure(clip.Frames)).IsSuccess,
            steps = clip.ComputedSteps,
            seconds = Math.Round(clip.SamplingSeconds, 2),
        }));
        file.Flush();
    }

    private static string Setting(string name, string otherwise) => Environment.GetEnvironmentVariable("NABLAGEN_BENCH_" + name) is { Length: > 0 } said ? said : otherwise;
}
