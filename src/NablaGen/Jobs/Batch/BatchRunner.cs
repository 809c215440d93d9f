using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using NablaGen.Files;
using NablaGen.Generation;

namespace NablaGen.Jobs.Batch;

/// <summary>
/// Makes the rows of a batch that are not made yet, with a model that is loaded once. Any number of processes may run on one folder, of
/// different shards or the same: each row is made once. What is killed can be started again.
/// </summary>
/// <param name="pipeline">The model; it keeps what it loads.</param>
/// <param name="folder">Where videos and manifest go; made where it is not there.</param>
/// <param name="options">How.</param>
/// <param name="progress">Is told how it goes.</param>
public sealed class BatchRunner(TextToVideo pipeline, string folder, BatchOptions options, IBatchProgress progress)
{
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromSeconds(0.5);

    // A terminal's Ctrl-C ends ffmpeg too, and what that makes of the row may be here before the cancellation.
    private static readonly TimeSpan InterruptGrace = TimeSpan.FromSeconds(0.5);

    // What the manifest said of each row when this run began.
    private readonly Dictionary<string, ManifestEntry?> _before = [];

    // A row of this run: one that failed before stops nothing.
    private bool _hasFailed;

    /// <summary>How the rows stand, also after an exception.</summary>
    public BatchSummary Summary { get; private set; } = new(0, 0, 0, 0);

    /// <summary>Runs the batch.</summary>
    /// <param name="rows">The whole batch's; those of other shards are left to them.</param>
    /// <param name="cancellation">Stops the work; the row in work is begun again next time, or only decoded where its latents are saved.</param>
    /// <exception cref="NablaGenException">The model is bad or the folder cannot be written. A row that fails throws nothing.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public BatchSummary Run(IReadOnlyList<BatchRow> rows, CancellationToken cancellation = default)
    {
        CheckFolder(folder);
        pipeline.CheckModel(cancellation);
        var mine = rows.Where(row => options.Shard.Has(row.Number)).ToList();
        var manifest = new BatchManifest(folder, options.Shard);
        Summary = new BatchSummary(mine.Count, 0, 0, 0);
        var pending = new List<BatchRow>();
        var others = new List<(BatchRow Row, ManifestEntry Entry)>();
        foreach (var row in mine)
        {
            _before[row.Name] = manifest.Find(row.Name);
            if (Settled(row, _before[row.Name]) is { } entry && !(options.RetryFailed && entry.State == RowState.Failed))
            {
                others.Add((row, entry));
                Count(entry.State);
            }
            else
            {
                pending.Add(row);
            }
        }

        progress.OnStart(pending, Summary);
        others.ForEach(skipped => progress.OnRowSkipped(skipped.Row, skipped.Entry, Summary));
        if (pending.Count > 0)
        {
            // What no row can do without (ffmpeg) is no row's fault.
            var first = pending.FirstOrDefault(row => row.Request.Frames > 1) ?? pending[0];
            VideoOutput.Check(Path.Combine(folder, $"check{Path.GetExtension(first.FileName)}"), first.Request.Frames, cancellation);
            Make(pending, manifest, cancellation);
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

        OutputFile.Prepare(Path.Combine(folder, "manifest.jsonl"), ".jsonl");
    }

    private void Make(List<BatchRow> pending, BatchManifest manifest, CancellationToken cancellation)
    {
        var toSample = pending.Where(row => !HasLatents(row)).ToList();
        var encoded = toSample.Count == 0 ? [] : pipeline.Prepare([.. toSample.Select(row => row.Request)], progress, cancellation);
        var prepared = toSample.Zip(encoded).ToDictionary(pair => pair.First.Name, pair => pair.Second);
        using var claims = new RowClaims(folder);
        var waiting = 0;
        try
        {
            while (pending.Count > 0)
            {
                var left = pending.Where(row => !TryMake(row, prepared, claims, manifest, cancellation)).ToList();
                if (options.FailFast && _hasFailed)
                {
                    return;
                }

                if (left.Count > 0)
                {
                    // Other processes have these; a row whose process dies is taken over.
                    if (left.Count != waiting)
                    {
                        progress.OnWait(waiting = left.Count);
                    }

                    cancellation.WaitHandle.WaitOne(BetweenLooks);
                }

                pending = left;
            }
        }
        finally
        {
            foreach (var one in prepared.Values)
            {
                one.Dispose();
            }
        }
    }

    // False where another process has the row.
    private bool TryMake(
        BatchRow row, Dictionary<string, PreparedRequest> prepared, RowClaims claims, BatchManifest manifest, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        if (options.FailFast && _hasFailed)
        {
            return true;
        }

        if (!claims.TryClaim(row.Name))
        {
            return false;
        }

        try
        {
            // Only now is it sure that nobody else is at it.
            manifest.Refresh();
            var entry = manifest.Find(row.Name);
            if (entry != _before[row.Name] && Settled(row, entry) is { } settled)
            {
                Count(settled.State);
                progress.OnRowSkipped(row, settled, Summary);
            }
            else
            {
                Make(row, prepared.GetValueOrDefault(row.Name), manifest, cancellation);
            }

            if (prepared.Remove(row.Name, out var done))
            {
                done.Dispose();
            }

            return true;
        }
        finally
        {
            claims.Release(row.Name);
        }
    }

    private void Make(BatchRow row, PreparedRequest? prepared, BatchManifest manifest, CancellationToken cancellation)
    {
        var watch = Stopwatch.StartNew();
        progress.OnRowStart(row);
        var recipe = pipeline.RecipeOf(row.Request);
        ManifestEntry Entry(RowState state) => new()
        {
            Time = DateTimeOffset.UtcNow,
            Name = row.Name,
            State = state,
            Row = row.Number,
            Where = row.Where,
            Seconds = Math.Round(watch.Elapsed.TotalSeconds, 3),
            Host = Environment.MachineName,
            Recipe = recipe,
        };
        try
        {
            var video = VideoOf(row);
            DiscardPartials(row);
            var result = Generate(row, prepared, video, cancellation);
            var entry = Entry(RowState.Done) with
            {
                Video = row.FileName,
                Bytes = new FileInfo(video).Length,
                Sha256 = Hash(video),
                Density = result.Density,
            };
            manifest.Add(entry);
            Summary = Summary with { Made = Summary.Made + 1 };
            DiscardLatents(video, result);
            progress.OnRowDone(row, entry, Summary);
        }
        catch (Exception error) when (IsOfRow(error))
        {
            if (cancellation.CanBeCanceled && cancellation.WaitHandle.WaitOne(InterruptGrace))
            {
                throw new OperationCanceledException(cancellation);
            }

            progress.OnRowError(row, error);
            var reason = error is OutOfMemoryException ? "out of memory" : Line.Of(error.Message.Split('\n')[0]);
            var entry = Entry(RowState.Failed) with { Error = reason };
            manifest.Add(entry);
            Summary = Summary with { Failed = Summary.Failed + 1 };
            _hasFailed = true;
            progress.OnRowFailed(row, entry, Summary);
        }
    }

    private GenerationResult Generate(BatchRow row, PreparedRequest? prepared, string video, CancellationToken cancellation)
    {
        var latents = LatentFile.PathBeside(video);
        if (HasLatents(row))
        {
            return pipeline.DecodeLatents(latents, video, progress, cancellation);
        }

        // Without a prepared one the row had latents when this run began, and they are gone.
        return prepared is null
            ? pipeline.Generate(row.Request, video, latents, progress, cancellation: cancellation)
            : pipeline.Generate(prepared, video, latents, progress, cancellation: cancellation);
    }

    private void DiscardLatents(string video, GenerationResult result)
    {
        if (options.DiscardLatents && result.LatentsPath is { } latents)
        {
            OutputFile.Discard(latents);
            ResultFile.Save(video, result with { LatentsPath = null });
        }
    }

    // What the manifest says of a row, where that still holds.
    private ManifestEntry? Settled(BatchRow row, ManifestEntry? entry) =>
        entry is not null && entry.Has(pipeline.RecipeOf(row.Request)) && (entry.State == RowState.Failed || IsThere(row, entry)) ? entry : null;

    private bool IsThere(BatchRow row, ManifestEntry entry)
    {
        var video = new FileInfo(VideoOf(row));
        return video.Exists && video.Length == entry.Bytes && (!options.Verify || Hash(video.FullName) == entry.Sha256);
    }

    private bool HasLatents(BatchRow row)
    {
        var path = LatentFile.PathBeside(VideoOf(row));
        try
        {
            return File.Exists(path) && ManifestEntry.IsSame(LatentFile.ReadRecipe(path), pipeline.RecipeOf(row.Request));
        }
        catch (NablaGenException)
        {
            // A bad file: the row is made from its noise.
            return false;
        }
    }

    // What a killed process has left of this row; its claim is ours now.
    private void DiscardPartials(BatchRow row)
    {
        foreach (var partial in Directory.GetFiles(folder, $"{row.Name}.*.partial"))
        {
            OutputFile.Discard(partial);
        }
    }

    private void Count(RowState state) => Summary = state == RowState.Done
        ? Summary with { Skipped = Summary.Skipped + 1 }
        : Summary with { Failed = Summary.Failed + 1 };

    private string VideoOf(BatchRow row) => Path.Combine(folder, row.FileName);

    private static string Hash(string path)
    {
        using var file = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }

    // ExternalException is libtorch's, such as for a full GPU.
    private static bool IsOfRow(Exception error) =>
        error is NablaGenException or ExternalException or OutOfMemoryException or IOException or UnauthorizedAccessException;
}
