using NablaGen.Generation;
using NablaGen.Jobs.Batch;
using NablaGen.Models.Wan;
using NablaGen.Tests.Cli;
using static TorchSharp.torch;

namespace NablaGen.Tests.Jobs.Batch;

/// <summary>Batches in this process: one-frame videos, which are pictures and need no ffmpeg.</summary>
public abstract class SmallBatches : IClassFixture<GoldenModelFixture>, IDisposable
{
    private protected SmallBatches(GoldenModelFixture model)
    {
        Model = WanVideoModel.Open(model.Path);
        Pipeline = new TextToVideo(Model, CPU, ScalarType.Float32, keepLoaded: true);
    }

    private protected TempFolder Folder { get; } = new();

    private protected WanVideoModel Model { get; }

    private protected TextToVideo Pipeline { get; }

    private protected BatchLog Log { get; } = new();

    public void Dispose()
    {
        Pipeline.Dispose();
        Folder.Dispose();
    }

    private protected IReadOnlyList<BatchRow> Rows(int steps, params string[] prompts) => BatchPlan.Make(
        [.. prompts.Select((prompt, i) => new PromptRow($"p:{i + 1}", new PartialRequest { Prompt = prompt }))],
        new PartialRequest { Steps = steps, Guidance = 1, Frames = 1, Width = 32, Height = 32 },
        SeedPlan.Once, Model);

    private protected IReadOnlyList<BatchRow> Alike(int count) => BatchPlan.Make(
        [.. Enumerable.Range(1, count).Select(i => new PromptRow($"p:{i}", new PartialRequest { Prompt = "x", Seed = 5 }))],
        new PartialRequest { Steps = 1, Guidance = 1, Frames = 1, Width = 32, Height = 32 },
        SeedPlan.Once, Model);

    private protected List<string> Names(params string[] prompts) => [.. Rows(1, prompts).Select(row => row.Name)];

    private protected BatchSummary Run(params string[] prompts) => Run(Rows(1, prompts));

    private protected BatchSummary Run(IReadOnlyList<BatchRow> rows, BatchOptions? options = null) =>
        new BatchRunner(Pipeline, Folder.Path, options ?? new BatchOptions(), Log).Run(rows, TestContext.Current.CancellationToken);
}
