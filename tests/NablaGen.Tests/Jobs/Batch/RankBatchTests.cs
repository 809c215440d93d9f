using System.Net;
using System.Text;
using NablaGen.Distributed;
using NablaGen.Generation;
using NablaGen.Jobs.Batch;
using NablaGen.Models.Wan;
using NablaGen.Tests.Cli;
using NablaGen.Tests.Distributed;
using static TorchSharp.torch;

namespace NablaGen.Tests.Jobs.Batch;

/// <summary>Batches whose rows are made by two ranks together, which are threads of this process.</summary>
public sealed class RankBatchTests : IClassFixture<GoldenModelFixture>, IDisposable
{
    private static readonly PartialRequest Shared = new() { Steps = 1, Guidance = 1, Frames = 1, Width = 144, Height = 64 };

    private readonly TempFolder _folder = new();
    private readonly TempFolder _alone = new();
    private readonly WanVideoModel _model;
    private readonly RowPipelines _pipelines;
    private IReadOnlyList<BatchRow> _rows;
    private PromptSource _prompts = new(Encoding.UTF8.GetBytes("a\nb\nc\n"), "p.txt", ".txt");
    private readonly List<Thread> _helpers = [];
    private readonly SilentBatch _seen = new();

    // What the helper of each job does, in place of helping.
    private readonly Dictionary<int, Action<ICommunicator, IReadOnlyList<BatchRow>, RowPipelines>> _instead = [];

    public RankBatchTests(GoldenModelFixture model)
    {
        _model = WanVideoModel.Open(model.Path);
        var (rows, models) = Plan(_prompts);
        _rows = rows;
        _pipelines = Pipelines(models);
    }

    [Fact]
    public void Two_ranks_make_rows_with_the_bits_of_one_and_read_the_model_once()
    {
        _pipelines.SplitOver(2, _rows);
        Assert.Equal(new BatchSummary(3, 3, 0, 0), Run());
        Assert.Single(_helpers);
        Assert.Equal("2 × cpu (guidance 1 × heads 2)", RecipeFile.Read(_folder[_rows[0].Name + ".json"]).Device);
        using (var alone = new TextToVideo(_model, CPU, ScalarType.Float32, keepLoaded: true))
        {
            Assert.Equal(3, new BatchRunner(alone, _alone.Path, new BatchOptions(), _seen).Run(_rows, TestContext.Current.CancellationToken).Made);
        }

        using var scope = NewDisposeScope();
        Assert.All(_rows, row => Assert.True(RankThreads.Same(Latents(_folder, row), Latents(_alone, row))));

        // What one GPU has made is not made again, and nobody is started for nothing; saved latents are decoded by rank 0 alone.
        Directory.GetFiles(_alone.Path, "*.jsonl").ToList().ForEach(File.Delete);
        File.Delete(_folder[_rows[1].FileName]);
        Assert.Equal(new BatchSummary(3, 1, 2, 0), Run());
        Assert.Single(_helpers);
    }

    [Fact]
    public void A_row_that_fails_before_others_are_called_leaves_them_at_work()
    {
        Directory.CreateDirectory(_folder[_rows[1].FileName]);
        Assert.Equal(new BatchSummary(3, 2, 0, 1), Run());
        Assert.Single(_helpers);
    }

    [Fact]
    public void A_row_that_fails_while_it_is_written_leaves_the_others_at_work()
    {
        var decoded = 0;
        _seen.Look = what =>
        {
            if (what == $"{GenerationStage.Decode}" && ++decoded == 2)
            {
                Directory.CreateDirectory(_folder[_rows[1].FileName]);
            }
        };
        Assert.Equal(new BatchSummary(3, 2, 0, 1), Run());
        Assert.Single(_helpers);
        Assert.Contains("is a folder", Entry(1)!.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_row_of_infinite_latents_leaves_the_others_at_work()
    {
        // Beyond what float32 holds by the last step.
        _prompts = new PromptSource("prompt,guidance,steps\na,1e30,3\nb,1,1\n"u8.ToArray(), "p.csv", ".csv");
        _rows = [.. Plan(_prompts).Rows.Select(row => row with { Model = _rows[0].Model })];
        Assert.Equal(new BatchSummary(2, 1, 0, 1), Run());
        Assert.Contains("the latents contain NaN or infinity", Entry(0)!.Error, StringComparison.Ordinal);
        Assert.Single(_helpers);
    }

    [Fact]
    public void A_rank_without_memory_fails_the_row_and_not_the_batch()
    {
        _instead[0] = (world, _, _) =>
        {
            world.Share([]);
            throw new RankFaultException("cuda ran out of memory while sampling", isShortage: true);
        };
        Assert.Equal(new BatchSummary(3, 2, 0, 1), Run());
        Assert.Matches(@"^rank 1 on .* \(process \d+\): cuda ran out of memory while sampling$", Entry(0)!.Error);
        Assert.Equal(2, _helpers.Count);
    }

    [Fact]
    public void A_lost_rank_stops_the_batch_and_nothing_is_recorded_of_its_row()
    {
        _instead[0] = (world, _, _) =>
        {
            world.Share([]);
            throw new IOException("gone");
        };
        var error = Assert.Throws<NablaGenException>(() => Run());
        Assert.Matches($@"^rank 1 on .* \(process \d+\): gone; this is not the row's fault, so the batch stops and {_rows[0].Name} is not recorded as failed: ", error.Message);
        Assert.Null(Entry(0));
        Assert.DoesNotContain(_folder.Files, file => file.EndsWith(".partial") || file.EndsWith(".claim") || file.EndsWith(".png"));
        // The same command goes on.
        Assert.Equal(new BatchSummary(3, 3, 0, 0), Run());
    }

    [Fact]
    public void A_rank_that_is_lost_between_rows_stops_the_batch_at_the_next()
    {
        _instead[0] = (world, rows, pipelines) =>
        {
            var row = RowCall.Row(world.Share([])[0], rows)!;
            var pipeline = pipelines.Use(row);
            pipeline.World = world;
            pipeline.Assist(row.Request, TestContext.Current.CancellationToken);
            throw new IOException("gone");
        };
        var error = Assert.Throws<NablaGenException>(() => Run());
        Assert.Contains(": gone; this is not the row's fault", error.Message);
        Assert.Equal((RowState.Done, null), (Entry(0)!.State, Entry(1)));
    }

    [Fact]
    public void Cancelled_it_leaves_no_claim_and_the_other_rank_ends()
    {
        using var cancellation = new CancellationTokenSource();
        _seen.Look = what => { if (what == "step") { cancellation.Cancel(); } };
        Assert.Throws<OperationCanceledException>(() => Run(cancellation.Token));
        Assert.All(_helpers, helper => Assert.True(helper.Join(TimeSpan.FromSeconds(10))));
        Assert.DoesNotContain(_folder.Files, file => file.EndsWith(".claim") || file.EndsWith(".partial"));
        Assert.Null(Entry(0));
    }

    [Fact]
    public void A_row_that_cannot_be_split_is_refused_with_its_line()
    {
        var error = Assert.Throws<InvalidRequestException>(() => _pipelines.SplitOver(64, _rows));
        Assert.StartsWith("p.txt:1: --gpus: a pass of this model can be split over ", error.Message);
    }

    [Fact]
    public void A_row_that_is_another_at_the_helper_is_refused() =>
        Assert.Contains("row 2 is another here", Assert.Throws<NablaGenException>(() => RowCall.Row(RowCall.Of(_rows[1]), [.. _rows.Reverse().Skip(1)])).Message);

    public void Dispose()
    {
        _pipelines.Dispose();
        _folder.Dispose();
        _alone.Dispose();
    }

    private BatchSummary Run(CancellationToken? cancellation = null)
    {
        var (started, token) = (0, cancellation ?? TestContext.Current.CancellationToken);
        using var ranks = new RowRanks(() => Begin(started++, token), _prompts, error => error.Message);
        try
        {
            return new BatchRunner(_pipelines, _folder.Path, new BatchOptions { Ranks = ranks }, _seen).Run(_rows, token);
        }
        finally
        {
            _instead.Clear();
        }
    }

    private RankJob Begin(int number, CancellationToken cancellation)
    {
        var listener = RankChannel.Listen();
        var place = new RankPlace(0, 2, 0, "127.0.0.1", ((IPEndPoint)listener.LocalEndpoint).Port, "a test");
        var helper = new Thread(() => Help(place with { Rank = 1, LocalRank = 1 }, _instead.GetValueOrDefault(number)));
        _helpers.Add(helper);
        helper.Start();
        return RankJob.Over(RankChannel.Lead(place, listener, RankThreads.Short with { Stall = TimeSpan.FromSeconds(20) }, cancellation: cancellation), CPU);
    }

    // As the command's other processes do.
    private void Help(RankPlace place, Action<ICommunicator, IReadOnlyList<BatchRow>, RowPipelines>? instead)
    {
        using var job = RankJob.Over(RankChannel.Join(place, RankThreads.Short with { Stall = TimeSpan.FromSeconds(20) }), CPU);
        try
        {
            job.Run(
                () =>
                {
                    var (rows, models) = Plan(RowHelper.Receive(job.World));
                    using var pipelines = Pipelines(models);
                    (instead ?? ((world, all, models) => RowHelper.Follow(world, all, models, CancellationToken.None)))(job.World, rows, pipelines);
                    return true;
                },
                error => error.Message);
        }
        catch (Exception error) when (error is NablaGenException or IOException)
        {
            // Rank 0 tells of it.
        }
    }

    private (IReadOnlyList<BatchRow> Rows, RowModels Models) Plan(PromptSource source)
    {
        var prompts = PromptFile.Read(source);
        var models = RowModels.One(prompts, _model);
        return (BatchPlan.Make(prompts, Shared, SeedPlan.Once, models), models);
    }

    private static RowPipelines Pipelines(RowModels models) => new(models, model => new TextToVideo(model.Model, CPU, ScalarType.Float32, keepLoaded: true));

    private Tensor Latents(TempFolder folder, BatchRow row) => LatentFile.Load(folder[row.Name + ".latents.safetensors"], _model).Latents;

    private ManifestEntry? Entry(int row) => new BatchManifest(_folder.Path, Shard.Whole).Find(_rows[row].Name);
}
