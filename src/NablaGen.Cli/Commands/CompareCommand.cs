using System.CommandLine;
using NablaGen.Attention;
using NablaGen.Checkpoints;
using NablaGen.Cli.Output;
using NablaGen.Pipeline;
using NablaGen.Pipeline.Batch;
using NablaGen.Pipeline.Compare;

namespace NablaGen.Cli.Commands;

/// <summary><c>nablagen compare</c>: a prompt with several attentions from the same noise, beside one another.</summary>
internal sealed class CompareCommand
{
    public const string Example =
        "compare --prompt \"A cat surfs at sunset\" --attention dense nabla-0.7 nabla-0.4 --seed 7 --output-dir cats";

    private const string DefaultFolder = "compare";

    private readonly GenerationOptions _options = new();
    private readonly ModelOptions _model = new();
    private readonly Option<string?> _prompts = new("--prompts")
    {
        Description = "Instead of --prompt: a text file with a prompt a line; empty lines and those that start with # are left out",
        HelpName = "FILE",
    };

    private readonly Option<string[]> _attention = new("--attention")
    {
        Description = "Two expressions or more, as for generate; the first is what the others are compared with",
        HelpName = "EXPR",
        AllowMultipleArgumentsPerToken = true,
        DefaultValueFactory = _ => ["dense", "nabla-0.7"],
    };

    private readonly Option<string?> _outputDir = new("--output-dir", "-o")
    {
        Description = $"Folder for everything [default: {DefaultFolder}, or the first free {DefaultFolder}-<n>]",
        HelpName = "DIR",
    };

    public static Command Create()
    {
        var self = new CompareCommand();
        var command = new Command("compare", "Make a video with several attentions from the same noise, and a page that shows them beside one another.");
        command.Add(self._options.Prompt);
        command.Add(self._prompts);
        command.Add(self._model.Model);
        command.Add(self._attention);
        self._options.AddTo(command, except: [self._options.Prompt, self._options.Attention, self._options.Threshold]);
        command.Add(self._model.Device);
        command.Add(self._model.Dtype);
        command.Add(self._outputDir);
        command.SetAction((parsed, cancellation) => Task.FromResult(self.Run(parsed, cancellation)));
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        var flags = _options.Read(parsed);
        var expressions = parsed.GetValue(_attention)!.Select(AttentionExpression.Parse).ToArray();
        Comparison.Check(expressions);
        var prompts = Prompts(parsed);

        var model = _model.Folder(parsed);
        var requests = Requests(prompts, expressions, flags with { Seed = flags.Seed ?? Random.Shared.Next() }, model);
        var folder = OutputFolder(parsed.GetValue(_outputDir));
        using var pipeline = _model.Pipeline(parsed, model, keepLoaded: true);
        var prepared = ProgressReport.Run(progress => pipeline.Prepare([.. requests.Select(row => row[0])], progress, cancellation));

        var reports = new List<(string Folder, ComparisonReport Report)>();
        for (var i = 0; i < prepared.Count; i++)
        {
            var name = prompts.Count == 1 ? "" : RowName.Of(i + 1, prompts[i], requests[i][0].Seed);
            if (prompts.Count > 1)
            {
                Console.WriteLine($"prompt {i + 1}/{prompts.Count}: {prompts[i]}");
            }

            using var prompt = prepared[i];
            reports.Add((name, Compare(pipeline, prompt, requests[i], Path.Combine(folder, name), cancellation)));
        }

        if (prompts.Count > 1)
        {
            ComparisonIndex.Save(folder, reports);
        }

        Write(folder, reports);
        return ExitCode.Done;
    }

    private List<string> Prompts(ParseResult parsed)
    {
        switch (parsed.GetValue(_options.Prompt), parsed.GetValue(_prompts))
        {
            case (null, null):
                throw new InvalidRequestException("there is nothing to make: give --prompt, or --prompts with a file");
            case (not null, not null):
                throw new InvalidRequestException("--prompt and --prompts both say what to show: give one of them");
            case ({ } prompt, _):
                return [prompt];
            case (_, { } file):
                return ReadPrompts(file);
        }
    }

    private static List<string> ReadPrompts(string file)
    {
        try
        {
            var prompts = File.ReadLines(file).Select(line => line.Trim()).Where(line => line.Length > 0 && line[0] != '#').ToList();
            return prompts.Count > 0 ? prompts : throw new InvalidRequestException($"{file}: it holds no prompt");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new NablaGenException($"{file}: the prompts cannot be read: {e.Message}", e);
        }
    }

    // By prompt, by expression. Every one is checked before anything is made.
    private static List<GenerationRequest[]> Requests(
        IEnumerable<string> prompts, IReadOnlyList<AttentionExpression> expressions, PartialRequest flags, ModelFolder model)
    {
        var requests = prompts.Select(prompt => expressions
            .Select(expression => new PartialRequest { Prompt = prompt, Attention = expression }.Over(flags, model.Defaults).ToRequest(model.Defaults))
            .ToArray()).ToList();
        foreach (var request in requests[0])
        {
            request.Check(model.DitConfig, model.VaeConfig);
        }

        return requests;
    }

    private static string OutputFolder(string? named)
    {
        var folder = named ?? DefaultFolder;
        for (var n = 2; named is null && Path.Exists(folder); n++)
        {
            folder = $"{DefaultFolder}-{n}";
        }

        Comparison.CheckFolder(folder);
        return folder;
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
                Console.WriteLine($"{name}: {report.Recipe.Prompt}");
            }

            ComparisonTable.Write(Console.Out, report);
        }

        var page = reports.Count > 1 ? ComparisonIndex.FileName : ComparisonPage.FileName;
        Console.WriteLine($"\npage      {Path.Combine(folder, page)}");
        Console.WriteLine($"seed      {reports[0].Report.Recipe.Seed}");
    }
}
