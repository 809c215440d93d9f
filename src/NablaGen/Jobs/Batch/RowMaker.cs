using System.Diagnostics;
using NablaGen.Files;
using NablaGen.Generation;

namespace NablaGen.Jobs.Batch;

/// <summary>Makes the video of a row that this process has claimed.</summary>
/// <param name="pipelines">The rows' models.</param>
/// <param name="folder">The batch's folder.</param>
/// <param name="discardsLatents">Removes the latents once the video is there.</param>
/// <param name="ranks">Who makes the rows together; null for this process alone.</param>
internal sealed class RowMaker(RowPipelines pipelines, string folder, bool discardsLatents, RowRanks? ranks)
{
    private readonly Stopwatch _watch = new();
    private Recipe? _recipe;
    private GenerationResult? _result;

    /// <summary>Makes the video, from saved latents where there are any.</summary>
    /// <param name="row">The row, under the name it gets.</param>
    /// <param name="hasLatents">Whether its latents are saved.</param>
    /// <param name="prepared">Its encoded prompt; null where it has latents.</param>
    /// <param name="progress">Is told how it goes.</param>
    /// <param name="cancellation">Stops the work.</param>
    /// <returns>The line for the manifest.</returns>
    public ManifestEntry Make(BatchRow row, bool hasLatents, PreparedRequest? prepared, IGenerationProgress progress, CancellationToken cancellation)
    {
        _watch.Restart();
        var pipeline = pipelines.Use(row);
        _recipe = pipeline.RecipeOf(row.Request, cancellation);
        // What a killed process has left of this row; its claim is ours now.
        foreach (var partial in Directory.GetFiles(folder, $"{row.Name}.*.partial"))
        {
            OutputFile.Discard(partial);
        }

        var video = Path.Combine(folder, row.FileName);
        var latents = LatentFile.PathBeside(video);
        GenerationResult Generate() => pipeline.Generate(prepared!, video, latents, progress, cancellation: cancellation);

        _result = hasLatents ? pipeline.DecodeLatents(latents, video, progress, cancellation) : ranks is null ? Generate() : ranks.Make(row, pipeline, Generate);
        return Entry(row, RowState.Done) with
        {
            Video = row.FileName,
            Bytes = new FileInfo(video).Length,
            Sha256 = RowPlaces.Hash(video),
            Density = _result.Density,
        };
    }

    /// <summary>The line of a row that failed.</summary>
    public ManifestEntry Failed(BatchRow row, Exception error) => Entry(row, RowState.Failed) with { Error = Reason(error) };

    /// <summary>Removes what a finished row needs no more, if that was asked for. Nothing of it can fail the row.</summary>
    public void TidyUp(BatchRow row)
    {
        var video = Path.Combine(folder, row.FileName);
        if (!discardsLatents || _result?.LatentsPath is not { } latents)
        {
            return;
        }

        OutputFile.Discard(latents);
        try
        {
            ResultFile.Save(video, _result with { LatentsPath = null });
        }
        catch (NablaGenException)
        {
            // The file beside the video names latents that are gone; the video and the manifest are whole.
        }
    }

    /// <summary>An error's first line, as the manifest has it.</summary>
    public static string Reason(Exception error) =>
        error is OutOfMemoryException ? "out of memory" : Line.Of(error.Message.Split('\n')[0], LongestReason);

    private const int LongestReason = 1000;

    private ManifestEntry Entry(BatchRow row, RowState state) => new()
    {
        Time = DateTimeOffset.UtcNow,
        Name = row.Name,
        State = state,
        Row = row.Number,
        Where = row.Where,
        Seconds = Math.Round(_watch.Elapsed.TotalSeconds, 3),
        Host = Environment.MachineName,
        Recipe = _recipe ?? pipelines.Of(row).RecipeOf(row.Request),
    };
}
