using System.CommandLine;
using System.Text.Json.Nodes;
using NablaGen.Attention;
using NablaGen.Cli.Output;
using NablaGen.Files;
using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Jobs.Batch;
using NablaGen.Jobs.Compare;
using NablaGen.Models;

namespace NablaGen.Cli.Commands;

/// <summary><c>nablagen compare</c>: a prompt with several attentions from the same noise, beside one another.</summary>
internal sealed class CompareCommand
{
    public const string Example =
        "compare --prompt \"A red ball bounces\" --attention dense nabla-0.5";

    private const string DefaultFolder = "compare";
    private const int LongestPrompt = 200;
    private static readonly string[] DefaultAttention = ["dense", "nabla-0.7"];

    private readonly GenerationOptions _options = new();
    private readonly ModelOptions _model = new();
    private readonly Option<string?> _prompts = new("--prompts")
    {
        Description = "Instead of --prompt: a .txt with a prompt a line, or a .jsonl or .csv, as for batch",
        HelpName = "FILE",
    };

    private readonly Option<string[]> _attention = new("--attention")
    {
        Description = $"Two or more expressions, as for generate; the others are compared with the first [default: {string.Join(' ', DefaultAttention)}]",
        HelpName = "EXPR",
        AllowMultipleArgumentsPerToken = true,
        CompletionSources = { "dense", "nabla-0.7", "nabla-0.6_sta-11-3-3", "sta-11-3-3" },
    };

    private readonly Option<string?> _outputDir = new("--output-dir", "-o")
    {
        Description = $"Folder for everything [default: {DefaultFolder}, or the first free {DefaultFolder}-<n>]",
        HelpName = "DIR",
    };

    private readonly Option<bool> _masks = new("--masks") { Description = "Write beside each sparse video which blocks each block looks at, as a page that the report links to" };
    private readonly Option<bool> _discardLatents = SharedOptions.DiscardLatents();
    private readonly ReportOptions _report = new();

    public static Command Create()
    {
        var self = new CompareCommand();
        var command = new Command("compare", "Make a video with several attentions from the same noise, and a page that shows them side by side.");
        command.Add(self._options[RequestFields.Prompt]);
        command.Add(self._prompts);
        command.Add(self._model.Model);
        command.Add(self._attention);
        // One target density would make all of NABLA alike.
        self._options.AddTo(command, except: [RequestFields.Prompt, RequestFields.Attention, RequestFields.Threshold, RequestFields.TargetDensity]);
        command.Add(self._model.Device);
        command.Add(self._model.Dtype);
        self._model.Precision.AddTo(command);
        command.Add(self._model.Vram);
        command.Add(self._outputDir);
        command.Add(self._options.PresetName);
        command.Add(self._masks);
        command.Add(self._discardLatents);
        self._report.AddTo(command);
        LongJob.AddTo(command);
        command.SetAction((parsed, cancellation) =>
        {
            var report = self._report.Report(parsed);
            return Task.FromResult(report.Run(() => self.Run(parsed, report, cancellation), cancellation));
        });
        return command;
    }

    private int Run(ParseResult parsed, RunReport report, CancellationToken cancellation)
    {
        CheckPrompt(parsed);
        var flags = _options.Read(parsed);
        var preset = _options.Preset(parsed);
        if (preset?.Values is { Attention: not null } or { TargetDensity: not null })
        {
            throw new InvalidRequestException($"preset {Line.Key(preset.Name)}: its attention, threshold or target density has no effect: --attention says what is compared");
        }

        var expressions = SharedOptions.Values(parsed, _attention, DefaultAttention).Select(ThresholdFile.ParseExpression).ToArray();
        Comparison.Check(expressions);
        var rows = parsed.GetValue(_prompts) is { } file ? PromptFile.Read(file) : null;
        var model = RowPictures.ModelOf(rows, flags, _model.Open(parsed, _options));
        var defaults = GenerationDefaults.Of(model);
        flags = preset is null ? flags : flags.Over(preset.Values, defaults) with
        {
            DenseSteps = flags.DenseSteps ?? preset.Values.DenseSteps,
            DenseLayers = flags.DenseLayers ?? preset.Values.DenseLayers,
        };
        // One seed for all prompts, and for all expressions in any case.
        var requests = Requests(rows, flags with { Seed = flags.Seed ?? Random.Shared.Next() }, expressions, model);

        var isDryRun = _report.IsDryRun(parsed);
        using var reserved = (isDryRun ? (Func<string?, string, IReadOnlyList<string>, ReservedName>)ReservedName.Look : ReservedName.Take)(
            parsed.GetValue(_outputDir), DefaultFolder, [""]);
        var folder = reserved.Path;
        var limit = _report.Limit(parsed);
        limit.Videos = requests.Count * expressions.Length;
        using var pipeline = _model.Pipeline(parsed, model, keepLoaded: true, limit: limit);
        if (isDryRun)
        {
            var outlook = report.Watch(progress => pipeline.Outlook([.. requests.SelectMany(row => row)], progress, cancellation));
            report.Outlook(new DryRun(
                $"{limit.Videos} videos, {string.Join(", ", expressions.AsEnumerable())} of {(requests.Count == 1 ? "1 prompt" : $"{requests.Count} prompts")}; the first: {DryRun.Describe(requests[0][0], model, pipeline)}",
                outlook, [("folder", folder, outlook.VideoBytes + (parsed.GetValue(_discardLatents) ? 0 : outlook.LatentBytes))]));
            return ExitCode.Done;
        }

        Comparison.CheckFolder(folder, cancellation);
        var prepared = report.Watch(progress => pipeline.Prepare([.. requests.Select(row => row[0])], progress, cancellation));

        var reports = new List<(string Folder, ComparisonReport Report)>();
        for (var i = 0; i < prepared.Count; i++)
        {
            var first = requests[i][0];
            var name = prepared.Count == 1 ? "" : RowName.Of(i + 1, first.Prompt, first.Seed);
            if (prepared.Count > 1)
            {
                report.Part($"prompt {i + 1}/{prepared.Count}: {Line.Of(first.Prompt, LongestPrompt)}");
            }

            using var prompt = prepared[i];
            using var comparison = new Comparison(pipeline, prompt, Path.Combine(folder, name))
            {
                DiscardsLatents = parsed.GetValue(_discardLatents),
                RecordsMasks = parsed.GetValue(_masks),
            };
            reports.Add((name, Compare(comparison, requests[i], report, cancellation)));
        }

        if (reports.Count > 1)
        {
            ComparisonIndex.Save(folder, reports, cancellation);
        }

        Write(report, folder, reports);
        if (LongJob.Current is { } job)
        {
            job.Output = Path.GetFullPath(folder);
        }

        return ExitCode.Done;
    }

    private void CheckPrompt(ParseResult parsed)
    {
        switch (parsed.GetValue(_options[RequestFields.Prompt]), parsed.GetValue(_prompts))
        {
            case (null, null):
                throw new InvalidRequestException("no prompt: give --prompt, or --prompts with a file");
            case (not null, not null):
                throw new InvalidRequestException("--prompt and --prompts both say what to show: give one of them");
        }
    }

    // By prompt, by expression. Every one is checked before anything is made.
    private static List<GenerationRequest[]> Requests(IReadOnlyList<PromptRow>? prompts, PartialRequest flags, AttentionExpression[] expressions, VideoModel model)
    {
        var defaults = GenerationDefaults.Of(model);
        var rows = prompts is null ? [flags] : prompts.Select(row => Over(row, flags, defaults));
        return [.. rows.Select(row => expressions.Select(expression => Checked(row, expression, model, defaults)).ToArray())];
    }

    private static PartialRequest Over(PromptRow row, PartialRequest flags, GenerationDefaults defaults) =>
        row.Request.Attention is null && row.Request.TargetDensity is null
            // Over the model's own attention, which may be dense, the flags' dense steps would be left out; here --attention says what they are for.
            ? row.Request.Over(flags, defaults) with
            {
                DenseSteps = row.Request.DenseSteps ?? flags.DenseSteps,
                DenseLayers = row.Request.DenseLayers ?? flags.DenseLayers,
            }
            : throw new InvalidRequestException($"{row.Where}: a row's attention, threshold or target density has no effect: --attention says what is compared");

    private static GenerationRequest Checked(PartialRequest row, AttentionExpression expression, VideoModel model, GenerationDefaults defaults)
    {
        // What is to be kept dense says nothing to dense attention.
        var partial = row with { Values = SparsityRules.Of(row.Values, expression) };
        var request = (partial with { Attention = expression }).ToRequest(defaults);
        request.Check(model);
        return request;
    }

    private static ComparisonReport Compare(Comparison comparison, GenerationRequest[] requests, RunReport report, CancellationToken cancellation)
    {
        for (var i = 0; i < requests.Length; i++)
        {
            report.Part($"attention {i + 1}/{requests.Length}: {requests[i].Attention}");
            report.Watch(progress => comparison.Add(requests[i], progress, cancellation));
        }

        report.Part("measuring, writing the report");
        return comparison.Complete(cancellation);
    }

    private static void Write(RunReport report, string folder, List<(string Folder, ComparisonReport Report)> reports)
    {
        var page = Path.Combine(folder, reports.Count > 1 ? ComparisonIndex.FileName : ComparisonPage.FileName);
        var seed = reports[0].Report.Recipe.Seed;
        report.Done(new JsonObject
        {
            ["page"] = page,
            ["seed"] = seed,
            ["means"] = reports.Count > 1 ? Path.Combine(folder, ComparisonMeans.JsonName) : null,
            ["comparisons"] = new JsonArray([.. reports.Select(one => (JsonNode)Path.Combine(folder, one.Folder, ComparisonReport.FileName))]),
        });
        if (!report.IsText)
        {
            return;
        }

        foreach (var (name, comparison) in reports)
        {
            Console.WriteLine();
            if (reports.Count > 1)
            {
                Console.WriteLine($"{name}: {Line.Of(comparison.Recipe.Prompt, LongestPrompt)}");
            }

            ComparisonTable.Write(Console.Out, comparison);
        }

        if (reports.Count > 1)
        {
            Console.WriteLine($"\nmean over {reports.Count} prompts");
            ComparisonTable.Write(Console.Out, ComparisonMeans.Of(reports).Expressions);
            Console.WriteLine($"\nmeans     {Path.Combine(folder, ComparisonMeans.CsvName)}, {ComparisonMeans.JsonName}");
        }

        Console.WriteLine($"\npage      {page}");
        Console.WriteLine($"seed      {seed}");
    }
}
