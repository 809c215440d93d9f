using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using NablaGen.Cli.Output;
using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Jobs.Batch;
using NablaGen.Jobs.Calibration;
using NablaGen.Models;

namespace NablaGen.Cli.Commands;

/// <summary><c>nablagen calibrate</c>: a threshold for each layer and head, as a file for <c>--attention nabla-FILE</c>.</summary>
internal sealed class CalibrateCommand
{
    public const string Example = "calibrate --target-density 0.2 --output thresholds.json";

    private const string DefaultOutput = "thresholds.json";

    private readonly GenerationOptions _options = new();
    private readonly ModelOptions _model = new();
    private readonly Option<double?> _density = SharedOptions.Number("Mean density to meet with the least error", "0-1", "--target-density");
    private readonly Option<double?> _error = SharedOptions.Number(
        "Relative error of the attentions' outputs to meet with the least density", "0-1", "--target-error");

    private readonly Option<string?> _prompts = new("--prompts")
    {
        Description = $"Prompts to measure on: a .txt with a prompt a line, or a .jsonl or .csv, as for batch [default: {CalibrationPrompts.Default.Count} of its own]",
        HelpName = "FILE",
    };

    private readonly Option<int> _measured = new("--measured-steps")
    {
        Description = "Steps of each prompt's run that are measured, evenly spread",
        HelpName = "N",
        DefaultValueFactory = _ => Calibrator.DefaultMeasuredSteps,
    };

    private readonly Option<string?> _output = new("--output", "-o")
    {
        Description = $"Thresholds to write, a .json [default: {DefaultOutput}, or the first free thresholds-<n>.json]",
        HelpName = "FILE",
    };

    private readonly Option<bool> _json = new("--json") { Description = "Print the result as JSON; progress goes to the error stream" };

    public static Command Create()
    {
        var self = new CalibrateCommand();
        var options = self._options;
        options[RequestFields.Seed].Description = "Seed of the first prompt's noise; each further one has the next [default: 0]";
        var command = new Command("calibrate", "Find a threshold for each layer and head, for --attention nabla-FILE.")
        {
            self._model.Model, self._density, self._error, self._prompts, self._measured, self._output,
        };
        options.AddTo(command, except:
        [
            RequestFields.Prompt, RequestFields.Attention, RequestFields.Threshold, RequestFields.TargetDensity, RequestFields.DenseSteps,
            RequestFields.DenseLayers, RequestFields.MaskEvery, RequestFields.MaskFromStep, RequestFields.Fps, RequestFields.StepCache,
        ]);
        command.Add(self._model.Device);
        command.Add(self._model.Dtype);
        self._model.Precision.AddTo(command);
        command.Add(self._model.Vram);
        command.Add(self._json);
        LongJob.AddTo(command);
        command.SetAction((parsed, cancellation) => Task.FromResult(self.Run(parsed, cancellation)));
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        var target = new CalibrationTarget(parsed.GetValue(_density), parsed.GetValue(_error));
        target.Check();
        var flags = _options.Read(parsed);
        using var reserved = ReservedName.Take(parsed.GetValue(_output), Path.ChangeExtension(DefaultOutput, null), ".json", ".html");
        var output = reserved.Path;
        CalibrationFile.Check(output);
        var page = CalibrationPage.PathBeside(output);
        CalibrationPage.Check(page);
        var rows = parsed.GetValue(_prompts) is { } file ? PromptFile.Read(file) : null;
        var model = RowPictures.ModelOf(rows, flags, _model.Open(parsed, _options));
        var requests = Requests(rows, flags, model);

        using var pipeline = _model.Pipeline(parsed, model);
        var (json, measured) = (parsed.GetValue(_json), parsed.GetValue(_measured));
        CalibratedThresholds Work(IGenerationProgress progress) => new Calibrator(pipeline).Run(requests, target, measured, progress, cancellation);
        var found = json ? ProgressReport.RunPlain(Console.Error, Work) : ProgressReport.Run(Work);
        CalibrationFile.Write(output, found);
        CalibrationPage.Save(page, output, found);
        if (LongJob.Current is { } job)
        {
            job.Output = Path.GetFullPath(output);
        }

        if (json)
        {
            var result = JsonSerializer.SerializeToNode(found, Recipe.Json)!.AsObject();
            result.Insert(0, "file", JsonValue.Create(output));
            result.Insert(1, "page", JsonValue.Create(page));
            Console.WriteLine(result.ToJsonString(Recipe.Json));
        }
        else
        {
            CalibrationTable.Write(Console.Out, found, output, page);
        }

        return ExitCode.Done;
    }

    private static GenerationRequest[] Requests(IReadOnlyList<PromptRow>? rows, PartialRequest flags, VideoModel model)
    {
        var defaults = GenerationDefaults.Of(model);
        // Each prompt has noise of its own, the same in a second run.
        PartialRequest Flags(int index) => flags with { Seed = (flags.Seed ?? 0) + index };

        return rows is null
            ? [.. CalibrationPrompts.Default.Select((prompt, i) => (Flags(i) with { Prompt = prompt }).ToRequest(defaults))]
            : [.. rows.Select((row, i) => Over(row, Flags(i), defaults))];
    }

    private static GenerationRequest Over(PromptRow row, PartialRequest flags, GenerationDefaults defaults)
    {
        var own = row.Request;
        if (own.Attention is not null || own.TargetDensity is not null || own.DenseSteps is not null || own.DenseLayers is not null
            || (own.Values.Find(RequestFields.MaskEvery) ?? own.Values.Find(RequestFields.MaskFromStep)) is not null)
        {
            throw new InvalidRequestException($"{row.Where}: a row's attention, threshold, target density, dense parts or masks have no effect: "
                + "calibrate samples with dense attention");
        }

        return own.Over(flags, defaults).ToRequest(defaults);
    }
}
