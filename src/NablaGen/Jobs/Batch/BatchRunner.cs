using NablaGen.Files;
using NablaGen.Generation;

namespace NablaGen.Jobs.Batch;

/// <summary>
/// Makes the rows of a batch that are not made yet, with models that are loaded once as long as rows share them. Any number of processes may run on one folder, of
/// different shards or the same: each row is made once. What is killed can be started again.
/// </summary>
/// <param name="pipelines">The rows' models; they keep what they load. Stay the caller's.</param>
/// <param name="folder">Where videos and manifest go; made where it is not there.</param>
/// <param name="options">How.</param>
/// <param name="progress">Is told how it goes. Where that fails, no more is reported and the batch goes on.</param>
public sealed class BatchRunner(RowPipelines pipelines, string folder, BatchOptions options, IBatchProgress progress) : IBatchRun
{
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromSeconds(0.5);

    // A terminal's Ctrl-C ends ffmpeg too, and what that makes of the row may be here before the cancellation.
    private static readonly TimeSpan InterruptGrace = TimeSpan.FromSeconds(0.5);

    private readonly SteadyBatch _progress = new(progress);
    private readonly RowMaker _maker = new(pipelines, folder, options.DiscardLatents, options.Ranks);

    // From the start of the run on.
    private RowFault _faults = null!;

    // What the manifest said of each row when this run began.
    private readonly Dictionary<int, ManifestEntry?> _before = [];

    // A row of this run: one that failed before stops nothing.
    private bool _hasFailed;

    /// <summary>A batch whose rows all have one model.</summary>
    /// <param name="pipeline">The model; it keeps what it loads. Stays the caller's.</param>
    /// <param name="folder">Where videos and manifest go; made where it is not there.</param>
    /// <param name="options">How.</param>
    /// <param name="progress">Is told how it goes.</param>
    public BatchRunner(TextToVideo pipeline, string folder, BatchOptions options, IBatchProgress progress)
        : this(new RowPipelines(pipeline), folder, options, progress)
    {
    }

    /// <summary>Rows whose prompts are encoded at a time.</summary>
    internal int WindowSize { get; init; } = TextToVideo.PromptWindow;

    /// <inheritdoc/>
    public BatchSummary Summary { get; private set; } = new(0, 0, 0, 0);

    /// <inheritdoc/>
    public Exception? ReportFailure => _progress.Failure;

    /// <summary>Runs the batch.</summary>
    /// <param name="rows">The whole batch's; those of other shards are left to them.</param>
    /// <param name="cancellation">Stops the work; the row in work is begun again next time, or only decoded where its latents are saved.</param>
    /// <exception cref="NablaGenException">
    /// The model is bad, the folder cannot be written, or the machine fails (a full disk, a broken ffmpeg, a GPU that is gone): nothing is
    /// recorded of the row in work then. A row that fails for what it asks throws nothing.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public BatchSummary Run(IReadOnlyList<BatchRow> rows, CancellationToken cancellation = default)
    {
        CheckFolder(folder);
        using var home = new KnownFolder(folder);
        _faults = new RowFault(home, pipelines.Device);
        pipelines.CheckModels(rows, cancellation);
        OutputFile.RemoveAbandoned(folder);
        var manifest = new BatchManifest(folder, options.Shard);
        manifest.Check();
        var places = new RowPlaces(folder, manifest, rows, row => pipelines.Of(row).RecipeOf(row.Request, cancellation), options.Verify);
        var mine = rows.Where(row => options.Shard.Has(row.Number)).ToList();
        Summary = new BatchSummary(mine.Count, 0, 0, 0);
        var pending = new List<BatchRow>();
        var others = new List<(BatchRow Row, ManifestEntry Entry)>();
        foreach (var row in rows)
        {
            cancellation.ThrowIfCancellationRequested();
            // Also those of other shards, so that each process shares the found videos out alike.
            _before[row.Number] = places.Settled(row);
            if (!options.Shard.Has(row.Number))
            {
                continue;
            }

            if (_before[row.Number] is { } entry && !(options.RetryFailed && entry.State == RowState.Failed))
            {
                others.Add((row, entry));
                Count(entry.State);
            }
            else
            {
                pending.Add(row);
            }
        }

        _progress.OnStart(pending, Summary);
        others.ForEach(skipped => _progress.OnRowSkipped(skipped.Row, skipped.Entry, Summary));
        if (pending.Count > 0)
        {
            CheckRoom(pending, places);
            // What no row can do without (ffmpeg) is no row's fault.
            var first = pending.FirstOrDefault(row => row.Request.Frames > 1) ?? pending[0];
            VideoOutput.Check(Path.Combine(folder, $"check{Path.GetExtension(first.FileName)}"), first.Request.Frames, cancellation);
            Make(options.Group.Arrange(pending), places, manifest, cancellation);
        }

        return Summary;
    }

    /// <summary>Sees that a batch can be written to a folder, which is made.</summary>
    /// <exception cref="NablaGenException">It cannot.</exception>
    public static void CheckFolder(string folder)
    {
        if (File.Exists(folder))
        {
            throw new NablaGenException($"{folder}: is a file, expected a folder for the videos");
        }

        if (Directory.Exists(Path.Combine(folder, "manifest.jsonl")))
        {
            throw new NablaGenException($"{Path.Combine(folder, "manifest.jsonl")}: is a folder, expected a file to write");
        }

        OutputFile.Prepare(Path.Combine(folder, "manifest.jsonl"), ".jsonl");
    }

    // The first row has to fit; that all do is not sure either way, for others write there too, and somebody may clear up meanwhile.
    private void CheckRoom(List<BatchRow> pending, RowPlaces places)
    {
        long Bytes(BatchRow row) => OutputSpace.Video(row.Request)
            + (places.Latents(row) is null ? OutputSpace.Latents(row.Request, row.Model.Model.Latents) : 0);

        OutputSpace.Check(Path.Combine(folder, pending[0].FileName), Bytes(pending[0]), "the row");
        var all = options.DiscardLatents ? pending.Sum(row => OutputSpace.Video(row.Request)) : pending.Sum(Bytes);
        if (OutputSpace.Free(folder) is { } free && free < all)
        {
            _progress.OnNote($"the rows to make will take about {OutputSpace.Text(all)}, and {OutputSpace.Text(free)} are free in {folder}: "
                + "the batch stops where the next row does not fit");
        }
    }

    private void Make(List<BatchRow> pending, RowPlaces places, BatchManifest manifest, CancellationToken cancellation)
    {
        var toSample = pending.Where(row => places.Latents(row) is null).ToList();
        pipelines.CheckRequests(toSample, _progress, cancellation);
        (toSample.Count > 0 ? options.Ranks : null)?.Begin();
        using var prompts = new PromptWindow(pipelines, _progress, WindowSize);
        using var claims = new FileClaims(folder);
        var waiting = 0;
        while (pending.Count > 0)
        {
            var left = new List<BatchRow>();
            for (var i = 0; i < pending.Count; i++)
            {
                var after = i + 1;
                PreparedRequest Prepare(BatchRow row) => prompts.Take(row, pending.Skip(after).Where(other => IsToSample(other, places)), cancellation);

                if (!TryMake(pending[i], Prepare, places, claims, manifest, cancellation))
                {
                    left.Add(pending[i]);
                }
            }

            if (options.FailFast && _hasFailed)
            {
                return;
            }

            if (left.Count > 0)
            {
                // Other processes have these; a row whose process dies is taken over.
                if (left.Count != waiting)
                {
                    _progress.OnWait(waiting = left.Count);
                }

                cancellation.WaitHandle.WaitOne(BetweenLooks);
            }

            pending = left;
        }
    }

    private bool IsToSample(BatchRow row, RowPlaces places) => places.Latents(row) is null && (places.Settled(row) is not { } entry || entry == _before[row.Number]);

    // False where another process has the row.
    private bool TryMake(
        BatchRow row, Func<BatchRow, PreparedRequest> prepare, RowPlaces places, FileClaims claims, BatchManifest manifest,
        CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        if (options.FailFast && _hasFailed)
        {
            return true;
        }

        _faults.CheckFolder(row);
        var recipe = places.ClaimOf(row);
        if (!claims.TryClaim(recipe))
        {
            // Whoever takes the row over takes its name over, too, instead of making the video under another.
            claims.Look(row.Name);
            return false;
        }

        string? name = null;
        try
        {
            // Only now is it sure that nobody else is at it.
            manifest.Refresh();
            var entry = places.Settled(row);
            if (entry is not null && entry != _before[row.Number])
            {
                Skip(row, entry);
            }
            else
            {
                name = places.Claim(row, claims);
                var claim = new RowClaim(row, [recipe, name], claims, places, manifest);
                var hasLatents = places.Latents(row) == name;
                using var prepared = hasLatents ? null : prepare(row);
                Make(row with { Name = name }, prepared, hasLatents, claim, cancellation);
            }

            return true;
        }
        catch (ClaimLostException)
        {
            // Whoever has it makes it, or has made it by the next look.
            return false;
        }
        finally
        {
            if (name is not null)
            {
                claims.Release(name);
            }

            claims.Release(recipe);
        }
    }

    private void Make(BatchRow row, PreparedRequest? prepared, bool hasLatents, RowClaim claim, CancellationToken cancellation)
    {
        _progress.OnRowStart(row);
        var watched = new WatchedProgress(_progress, claim.Holds);
        ManifestEntry entry;
        try
        {
            entry = _maker.Make(row, hasLatents, prepared, watched, cancellation);
        }
        catch (Exception error) when (RowFault.IsPossible(error))
        {
            Fail(row, error, watched.Stage, claim, cancellation);
            return;
        }

        _faults.CheckFolder(row);
        // From here the row is done, whatever happens to what is said of it.
        claim.Record(entry);
        Summary = Summary with { Made = Summary.Made + 1 };
        _maker.TidyUp(row);
        _progress.OnRowDone(row, entry, Summary);
    }

    private void Fail(BatchRow row, Exception error, GenerationStage stage, RowClaim claim, CancellationToken cancellation)
    {
        if (cancellation.CanBeCanceled && cancellation.WaitHandle.WaitOne(InterruptGrace))
        {
            throw new OperationCanceledException(cancellation);
        }

        if (_faults.HasFolder && !claim.Holds())
        {
            throw new ClaimLostException();
        }

        _progress.OnRowError(row, error);
        if (_faults.IsOfMachine(error, row.Request, stage))
        {
            throw _faults.Stop(row, error);
        }

        var entry = _maker.Failed(row, error);
        claim.Record(entry);
        Summary = Summary with { Failed = Summary.Failed + 1 };
        _hasFailed = true;
        _progress.OnRowFailed(row, entry, Summary);
    }

    private void Skip(BatchRow row, ManifestEntry entry)
    {
        Count(entry.State);
        _progress.OnRowSkipped(row, entry, Summary);
    }

    private void Count(RowState state) => Summary = state == RowState.Done
        ? Summary with { Skipped = Summary.Skipped + 1 }
        : Summary with { Failed = Summary.Failed + 1 };
}
