using System.CommandLine;
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
        LongJob.AddTo(command);
        command.SetAction((parsed, cancellation) => Task.FromResult(self.Run(parsed, cancellation)));
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        var flags = _options.Read(parsed);
        CheckPrompt(parsed);
        var expressions = (parsed.GetResult(_attention) is null ? DefaultAttention : parsed.GetValue(_attention)!).Select(ThresholdFile.ParseExpression).ToArray();
        Comparison.Check(expressions);
        var model = _model.Open(parsed, _options);
        // One seed for all prompts, and for all expressions in any case.
        var requests = Requests(parsed.GetValue(_prompts), flags with { Seed = flags.Seed ?? Random.Shared.Next() }, expressions, model);

        using var reserved = ReservedName.Take(parsed.GetValue(_outputDir), DefaultFolder, "");
        var folder = reserved.Path;
        Comparison.CheckFolder(folder, cancellation);
        using var pipeline = _model.Pipeline(parsed, model, keepLoaded: true);
        var prepared = ProgressReport.Run(progress => pipeline.Prepare([.. requests.Select(row => row[0])], progress, cancellation));

        var reports = new List<(string Folder, ComparisonReport Report)>();
        for (var i = 0; i < prepared.Count; i++)
        {
            var first = requests[i][0];
            var name = prepared.Count == 1 ? "" : RowName.Of(i + 1, first.Prompt, first.Seed);
            if (prepared.Count > 1)
            {
                Console.WriteLine($"prompt {i + 1}/{prepared.Count}: {Line.Of(first.Prompt, LongestPrompt)}");
            }

            using var prompt = prepared[i];
            reports.Add((name, Compare(pipeline, prompt, requests[i], Path.Combine(folder, name), cancellation)));
        }

        if (reports.Count > 1)
        {
            ComparisonIndex.Save(folder, reports, cancellation);
        }

        Write(folder, reports);
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
    private static List<GenerationRequest[]> Requests(string? file, PartialRequest flags, AttentionExpression[] expressions, VideoModel model)
    {
        var defaults = GenerationDefaults.Of(model);
        var rows = file is null ? [flags] : PromptFile.Read(file).Select(row => Over(row, flags, defaults));
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
        var partial = expression.IsDense ? row with { DenseSteps = null, DenseLayers = null } : row;
        var request = (partial with { Attention = expression }).ToRequest(defaults);
        request.Check(model);
        return request;
    }

    private static ComparisonReport Compare(
        TextToVideo pipeline, PreparedRequest prompt, GenerationRequest[] requests, string folder, CancellationToken cancellation)
    {
        using var comparison = new Comparison(pipeline, prompt, folder);
        for (var i = 0; i < requests.Length; i++)
        {
            Console.WriteLine($"attention {i + 1}/{requests.Length}: {requests[i].Attention}");
            ProgressReport.Run(progress => comparison.Add(requests[i], progress, cancellation));
        }

        Console.WriteLine("measuring, writing the report");
        return comparison.Complete(cancellation);
    }

    private static void Write(string folder, List<(string Folder, ComparisonReport Report)> reports)
    {
        foreach (var (name, report) in reports)
        {
            Console.WriteLine();
            if (reports.Count > 1)
            {
                Console.WriteLine($"{name}: {Line.Of(report.Recipe.Prompt, LongestPrompt)}");
            }

            ComparisonTable.Write(Console.Out, report);
        }

        var page = reports.Count > 1 ? ComparisonIndex.FileName : ComparisonPage.FileName;
        Console.WriteLine($"\npage      {Path.Combine(folder, page)}");
        Console.WriteLine($"seed      {reports[0].Report.Recipe.Seed}");
    }
}
