using System.Text.Json;
using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Jobs.Masks;
using NablaGen.Jobs.Statistics;
using NablaGen.Video;
using NablaGen.Video.Labels;
using NablaGen.Video.Metrics;

namespace NablaGen.Jobs.Compare;

/// <summary>
/// One prompt with several attention expressions from the same noise: <see cref="Add"/> makes each video, <see cref="Complete"/> measures
/// them and writes what shows them beside one another.
/// </summary>
public sealed class Comparison : IDisposable
{
    private const string SideBySideName = "side-by-side.mp4";
    private const string ContactSheetName = "contact-sheet.png";

    private readonly TextToVideo _pipeline;
    private readonly PreparedRequest _prompt;
    private readonly string _folder;
    private readonly LatentTrajectory _trajectory = new();
    private readonly List<ComparedExpression> _expressions = [];
    private Recipe? _recipe;

    /// <summary>Whether the latents of each video are removed once it is made.</summary>
    public bool DiscardsLatents { get; init; }

    /// <summary>Whether each sparse video gets a page of its masks.</summary>
    public bool RecordsMasks { get; init; }

    /// <summary>A comparison without videos yet.</summary>
    /// <param name="pipeline">The model; one that keeps it loaded saves reading it for each expression.</param>
    /// <param name="prompt">The prompt, encoded; its own attention does not count. Stays the caller's.</param>
    /// <param name="folder">Where everything goes; made if it is not there.</param>
    public Comparison(TextToVideo pipeline, PreparedRequest prompt, string folder)
    {
        (_pipeline, _prompt, _folder) = (pipeline, prompt, folder);
    }

    /// <summary>Sees that expressions can be compared.</summary>
    /// <exception cref="InvalidRequestException">There is only one, or one is there twice.</exception>
    public static void Check(IReadOnlyList<AttentionExpression> expressions)
    {
        if (expressions.Count < 2)
        {
            throw new InvalidRequestException($"a comparison needs at least two attention expressions, found {expressions.Count}");
        }

        if (expressions.GroupBy(expression => expression).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new InvalidRequestException($"attention '{twice.Key}' is named twice");
        }
    }

    /// <summary>Sees before the work that a folder can take a comparison: it can be made and written to, and ffmpeg can make a video and ffprobe is there to read it.</summary>
    /// <param name="folder">The folder, which is made.</param>
    /// <param name="cancellation">Stops the check.</param>
    /// <exception cref="NablaGenException">It cannot.</exception>
    public static void CheckFolder(string folder, CancellationToken cancellation = default)
    {
        if (File.Exists(folder))
        {
            throw new NablaGenException($"{folder}: this is a file, expected the name of a folder");
        }

        var tools = FfmpegTools.Find();
        tools.NeedFfprobe();
        Mp4Writer.CheckTarget(Path.Combine(folder, SideBySideName), tools, cancellation);
    }

    /// <summary>Makes the next video. The first is what the others are compared with.</summary>
    /// <param name="request">A request that differs from the prompt's only in its attention and what is kept dense.</param>
    /// <param name="progress">Is told how it goes.</param>
    /// <param name="cancellation">Stops the work; finished files stay.</param>
    /// <exception cref="NablaGenException">As for <see cref="TextToVideo.Generate(PreparedRequest, string, string?, IGenerationProgress?, ISamplingObserver?, CancellationToken)"/>.</exception>
    public ComparedExpression Add(GenerationRequest request, IGenerationProgress? progress = null, CancellationToken cancellation = default)
    {
        var common = _prompt.Request with { Attention = request.Attention, DenseSteps = request.DenseSteps, DenseLayers = request.DenseLayers };
        common = common.With(RequestFields.MaskEvery, request.Get(RequestFields.MaskEvery)).With(RequestFields.MaskFromStep, request.Get(RequestFields.MaskFromStep));
        if (common != request)
        {
            throw new ArgumentException("the requests of a comparison differ in their attention alone", nameof(request));
        }

        var dit = _pipeline.Model.Transformer;
        var density = new DensityStatistics(dit.Layers, dit.Heads);
        var cosine = _expressions.Count == 0 ? null : new LatentCosine(_trajectory);
        var masks = RecordsMasks && !request.Attention.IsDense
            ? new MaskObserver(MaskPlan.Of(new MaskChoice(), request, _pipeline.Model, MaskPlan.MostOnPage), dit.Heads)
            : null;
        using var prepared = _prompt.With(request, _pipeline.RecipeOf(request, cancellation));
        var result = _pipeline.Generate(
            prepared, Path.Combine(_folder, VideoName(request.Attention)), progress: progress,
            observer: new SamplingObservers(density, masks, cosine ?? (ISamplingObserver)_trajectory), cancellation: cancellation);

        if (DiscardsLatents)
        {
            result = ResultFile.DiscardLatents(result);
        }

        if (masks is not null)
        {
            MaskFile.Save(MaskFile.PathBeside(result.Path), masks.Failure is null ? masks.Masks : throw masks.Failure, _pipeline.Model, result.Path, result.Recipe, cancellation);
        }

        _recipe ??= result.Recipe;
        var computed = density.Computed.ToArray();
        var seconds = result.Seconds[GenerationStage.Sample];
        _expressions.Add(new ComparedExpression
        {
            Attention = request.Attention.ToString(),
            DenseSteps = request.DenseSteps,
            DenseLayers = request.DenseLayers,
            Video = Path.GetFileName(result.Path),
            Latents = Path.GetFileName(result.LatentsPath),
            Masks = masks is null ? null : Path.GetFileName(MaskFile.PathBeside(result.Path)),
            Density = Rounded(density.Mean!.Value),
            SamplingSeconds = Rounded(seconds),
            SpeedUp = Rounded(_expressions.Count == 0 ? 1 : _expressions[0].SamplingSeconds / seconds),
            Seconds = result.Seconds.ToDictionary(stage => JsonNamingPolicy.SnakeCaseLower.ConvertName(stage.Key.ToString()), stage => Rounded(stage.Value)),
            SecondsByStep = [.. density.Steps.Select(step => Rounded(step.Seconds))],
            LatentCosineByStep = cosine?.Steps,
            DensityByLayerAndHead = Table(dit.Layers, dit.Heads, (layer, head) => computed.Average(step => step.Layers[layer].HeadDensities[head])),
            DensityByStepAndLayer = Table(computed.Length, dit.Layers, (step, layer) => computed[step].Layers[layer].Density),
        });
        return _expressions[^1];
    }

    /// <summary>Measures the videos and writes the side by side video, the contact sheet, the numbers and the page.</summary>
    /// <param name="cancellation">Stops the work.</param>
    /// <exception cref="NablaGenException">A file cannot be read or written.</exception>
    public ComparisonReport Complete(CancellationToken cancellation = default)
    {
        if (_recipe is null || _expressions.Count < 2)
        {
            throw new InvalidOperationException("A comparison needs two videos.");
        }

        var qualities = VideoQuality.MeasureAll([.. _expressions.Select(PathOf)], cancellation: cancellation);
        for (var i = 0; i < _expressions.Count; i++)
        {
            _expressions[i] = _expressions[i] with
            {
                Psnr = qualities[i].Psnr,
                Ssim = qualities[i].Ssim,
                Flicker = qualities[i].Flicker,
                PsnrByFrame = qualities[i].PsnrByFrame,
                SsimByFrame = qualities[i].SsimByFrame,
            };
        }

        var (gain, posters) = Show(_recipe, cancellation);
        cancellation.ThrowIfCancellationRequested();
        var report = new ComparisonReport
        {
            Recipe = _recipe,
            SideBySide = SideBySideName,
            ContactSheet = ContactSheetName,
            DifferenceGain = gain,
            Expressions = _expressions,
        };
        report.Save(_folder);
        ComparisonPage.Save(_folder, report, posters);
        return report;
    }

    // The side by side video, the contact sheet and the pages' first frames come from one decoding of each video.
    private (int Gain, string[] Posters) Show(Recipe recipe, CancellationToken cancellation)
    {
        LabelledVideo[] videos = [.. _expressions.Select(one => new LabelledVideo(
            PathOf(one), one.Attention, $"density {one.Density:0.000} \u00b7 {one.SamplingSeconds:0.0} s"))];
        using var reader = LabelledReader.Open(videos, cancellation: cancellation);
        using var sideBySide = SideBySideVideo.Open(Path.Combine(_folder, SideBySideName), reader,
            new Dictionary<string, string> { ["title"] = recipe.Prompt, ["comment"] = recipe.ToJson() }, cancellation: cancellation);
        var sheet = new ContactSheet(reader);
        var posters = new string[videos.Length];
        while (reader.Read())
        {
            sideBySide.Add(reader);
            sheet.Add(reader);
            for (var i = 0; reader.Time == 0 && i < videos.Length; i++)
            {
                posters[i] = ComparisonPage.Poster(reader.Info, reader.Frame(i));
            }
        }

        sideBySide.Complete();
        sheet.Save(Path.Combine(_folder, ContactSheetName), new Dictionary<string, string> { ["Title"] = recipe.Prompt, ["Comment"] = recipe.ToJson() });
        return (sheet.Gain, posters);
    }

    /// <summary>Frees the first run's latents.</summary>
    public void Dispose() => _trajectory.Dispose();

    // Files of one name may lie in two folders.
    private string VideoName(AttentionExpression attention)
    {
        var name = $"{attention.Name}.mp4";
        for (var n = 2; _expressions.Any(one => one.Video.Equals(name, StringComparison.OrdinalIgnoreCase)); n++)
        {
            name = $"{attention.Name}-{n}.mp4";
        }

        return name;
    }

    private string PathOf(ComparedExpression expression) => Path.Combine(_folder, expression.Video);

    private static double[][] Table(int rows, int columns, Func<int, int, double> value) =>
        [.. Enumerable.Range(0, rows).Select(row => Enumerable.Range(0, columns).Select(column => Rounded(value(row, column))).ToArray())];

    private static double Rounded(double value) => Math.Round(value, 6);
}
