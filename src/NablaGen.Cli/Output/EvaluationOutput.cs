using System.Text.Json;
using System.Text.Json.Nodes;
using NablaGen.Generation;
using NablaGen.Training.Evaluation.Results;
using NablaGen.Training.Evaluation.Running;
using Spectre.Console;

namespace NablaGen.Cli.Output;

/// <summary>Shows how an evaluation goes: a bar on a terminal, lines elsewhere, JSON for programs.</summary>
internal static class EvaluationOutput
{
    /// <summary>Runs the work with a report.</summary>
    public static EvaluationReport Run(bool json, EvaluationWork plan, Func<IEvaluationProgress, EvaluationReport> work)
    {
        if (json)
        {
            return Json.Run(plan, work);
        }

        return ProgressReport.IsInteractive ? Bar.Run(plan, work) : work(new Lines(plan));
    }

    private static void Log(IReadOnlyList<EvaluationRow> rows, int done, int videos, TimeSpan left) =>
        LongJob.Current?.Log?.Write("evaluate", EvaluationText.Rows(rows, done, videos, left));

    private sealed class Lines(EvaluationWork plan) : IEvaluationProgress
    {
        public void OnStart(int videos, int done) => Console.WriteLine(EvaluationText.Start(plan, videos, done));

        public void OnRows(IReadOnlyList<EvaluationRow> rows, int done, int videos, TimeSpan left)
        {
            Log(rows, done, videos, left);
            Console.WriteLine(EvaluationText.Rows(rows, done, videos, left));
        }
    }

    private sealed class Bar(EvaluationWork plan, ProgressContext context) : IEvaluationProgress
    {
        private readonly ProgressTask _task = context.AddTask("checking");

        public static EvaluationReport Run(EvaluationWork plan, Func<IEvaluationProgress, EvaluationReport> work) => AnsiConsole.Progress()
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn { Width = 24 }, new PercentageColumn())
            .Start(context => work(new Bar(plan, context)));

        public void OnStart(int videos, int done)
        {
            AnsiConsole.WriteLine(EvaluationText.Start(plan, videos, done));
            (_task.MaxValue, _task.Value) = (videos, done);
        }

        public void OnRows(IReadOnlyList<EvaluationRow> rows, int done, int videos, TimeSpan left)
        {
            Log(rows, done, videos, left);
            _task.Description = Markup.Escape($"{done}/{videos} {rows[0].Recipe.Attention}{EvaluationText.Left(done, videos, left)}");
            _task.Value = done;
        }
    }

    // An object a line with an event; names are in snake case, times in seconds.
    private sealed class Json(EvaluationWork plan) : IEvaluationProgress
    {
        private int _done;
        private int _videos;

        public static EvaluationReport Run(EvaluationWork plan, Func<IEvaluationProgress, EvaluationReport> work)
        {
            var self = new Json(plan);
            var state = "failed";
            try
            {
                var report = work(self);
                state = "done";
                return report;
            }
            catch (OperationCanceledException)
            {
                state = "cancelled";
                throw;
            }
            finally
            {
                Write("end", new JsonObject { ["state"] = state, ["videos"] = self._videos, ["done"] = self._done });
            }
        }

        public void OnStart(int videos, int done)
        {
            (_videos, _done) = (videos, done);
            Write("start", new JsonObject
            {
                ["videos"] = videos,
                ["done"] = done,
                ["prompts"] = plan.Plan.Prompts.Count,
                ["seeds"] = plan.Plan.Seeds.Count,
                ["attentions"] = new JsonArray([.. plan.Plan.Attentions.Select(one => JsonValue.Create($"{one}"))]),
                ["estimated_seconds"] = Math.Round(plan.Left(videos - done).TotalSeconds, 1),
            });
        }

        public void OnRows(IReadOnlyList<EvaluationRow> rows, int done, int videos, TimeSpan left)
        {
            Log(rows, done, videos, left);
            _done = done;
            foreach (var row in rows)
            {
                Write("video", new JsonObject
                {
                    ["attention"] = row.Recipe.Attention,
                    ["prompt"] = row.Recipe.Prompt,
                    ["seed"] = row.Recipe.Seed,
                    ["held_out"] = row.HeldOut,
                    ["success"] = row.Success,
                    ["wrong"] = new JsonArray([.. row.Attributes.Where(one => !one.Right)
                        .Select(one => JsonValue.Create(JsonNamingPolicy.SnakeCaseLower.ConvertName($"{one.Attribute}")))]),
                    // JSON has no infinity: a video equal to the dense one has an SSIM of 1.
                    ["psnr"] = row.Psnr is { } psnr && double.IsFinite(psnr) ? psnr : null,
                    ["ssim"] = row.Ssim,
                    ["picture_psnr"] = row.PicturePsnr is { } kept && double.IsFinite(kept) ? kept : null,
                    ["density"] = row.Density,
                    ["computed_steps"] = row.ComputedSteps,
                    ["sampling_seconds"] = row.SamplingSeconds,
                    ["done"] = done,
                    ["of"] = videos,
                    ["eta_seconds"] = left.TotalSeconds,
                });
            }
        }

        private static void Write(string name, JsonObject fields)
        {
            fields.Insert(0, "event", name);
            Console.WriteLine(fields.ToJsonString(Recipe.Json));
        }
    }
}
