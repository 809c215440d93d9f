using System.Globalization;
using System.Text.RegularExpressions;
using NablaGen.Generation;
using NablaGen.Jobs.Batch;
using NablaGen.Models.Wan;
using NablaGen.Tests.Cli;
using static TorchSharp.torch;

namespace NablaGen.Tests.Jobs.Batch;

/// <summary>A batch on a machine whose clock ran ahead by a month while some rows were made, and is right again.</summary>
public sealed partial class BatchClockTests : IClassFixture<GoldenModelFixture>, IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly WanVideoModel _model;
    private readonly TextToVideo _pipeline;

    public BatchClockTests(GoldenModelFixture model)
    {
        _model = WanVideoModel.Open(model.Path);
        _pipeline = new TextToVideo(_model, CPU, ScalarType.Float32, keepLoaded: true);
    }

    [Fact]
    public void A_row_that_failed_then_is_made_once()
    {
        var blocked = _folder[Rows(1)[1].Name + ".png"];
        Directory.CreateDirectory(blocked);
        Assert.Equal(new BatchSummary(2, 1, 0, 1), Run(1));
        AMonthAhead();
        Directory.Delete(blocked);
        Assert.Equal(new BatchSummary(2, 1, 1, 0), Run(1, retryFailed: true));
        Assert.Equal(new BatchSummary(2, 0, 2, 0), Run(1, retryFailed: true));
        Assert.Equal(new BatchSummary(2, 0, 2, 0), Run(1));
    }

    [Fact]
    public void Rows_made_then_do_not_hide_those_of_another_option()
    {
        Run(1);
        AMonthAhead();
        Assert.Equal(2, Run(2).Made);
        Assert.Equal(2, Run(2).Skipped);
        Assert.Equal(2, Run(1).Skipped);
    }

    public void Dispose()
    {
        _pipeline.Dispose();
        _folder.Dispose();
    }

    private void AMonthAhead()
    {
        var manifest = _folder["manifest.jsonl"];
        var lines = File.ReadAllText(manifest);
        Assert.Matches(Time(), lines);
        File.WriteAllText(manifest, Time().Replace(lines, match => DateTimeOffset.Parse(match.Value, CultureInfo.InvariantCulture).AddDays(30).ToString("O")));
    }

    private IReadOnlyList<BatchRow> Rows(int steps) => BatchPlan.Make(
        [.. new[] { "a", "b" }.Select((prompt, i) => new PromptRow($"p:{i + 1}", new PartialRequest { Prompt = prompt }))],
        new PartialRequest { Steps = steps, Guidance = 1, Frames = 1, Width = 32, Height = 32 },
        SeedPlan.Once, _model);

    private BatchSummary Run(int steps, bool retryFailed = false) => new BatchRunner(
        _pipeline, _folder.Path, new BatchOptions { RetryFailed = retryFailed }, new SilentBatch()).Run(Rows(steps), TestContext.Current.CancellationToken);

    [GeneratedRegex("(?<=\"time\":\")[^\"]+")]
    private static partial Regex Time();
}
