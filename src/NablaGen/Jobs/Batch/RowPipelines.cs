using NablaGen.Generation;
using NablaGen.Models;
using static TorchSharp.torch;

namespace NablaGen.Jobs.Batch;

/// <summary>
/// A pipeline for each model of a batch's rows. The weights of one model at a time are in memory, and stay as long as rows have it: the order of the
/// rows decides how often weights are read.
/// </summary>
public sealed class RowPipelines : IDisposable
{
    private readonly Dictionary<RowModel, TextToVideo> _pipelines = [];
    private readonly TextToVideo? _only;
    private VideoModel? _onlyModel;
    private TextToVideo? _present;

    /// <summary>Pipelines for all rows of a plan. They are disposed of with this.</summary>
    /// <param name="models">The rows' models, one at least.</param>
    /// <param name="create">Makes a pipeline of a model that keeps what it loads; on the same device for all.</param>
    /// <exception cref="NablaGenException">A model cannot be run as asked.</exception>
    public RowPipelines(RowModels models, Func<RowModel, TextToVideo> create)
    {
        try
        {
            foreach (var model in models.All)
            {
                _pipelines.Add(model, create(model));
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>One pipeline, the caller's, for rows that all have its model.</summary>
    internal RowPipelines(TextToVideo pipeline) => _only = pipeline;

    /// <summary>Where they run.</summary>
    public Device Device => (_only ?? _pipelines.Values.First()).Device;

    /// <summary>The pipeline of a row, for what reads no weights.</summary>
    /// <param name="row">A row of the plan that was made with the same models.</param>
    /// <exception cref="ArgumentException">There is one pipeline, and the rows have several models.</exception>
    internal TextToVideo Of(BatchRow row) => _only is null ? _pipelines[row.Model]
        : (_onlyModel ??= row.Model.Model) == row.Model.Model ? _only
        : throw new ArgumentException($"{row.Where}: its model is not that of the rows before it", nameof(row));

    /// <summary>The pipeline of a row, for work with weights: those of other rows' models leave the memory.</summary>
    /// <inheritdoc cref="Of"/>
    internal TextToVideo Use(BatchRow row)
    {
        var pipeline = Of(row);
        if (_present is not null && _present != pipeline)
        {
            _present.GiveWayTo(pipeline);
        }

        return _present = pipeline;
    }

    /// <summary>Sees that rows can be split over ranks, which will make them together.</summary>
    /// <param name="ranks">How many ranks make a row.</param>
    /// <param name="rows">The rows.</param>
    /// <exception cref="InvalidRequestException">A row cannot be split over so many; the message says which.</exception>
    internal void SplitOver(int ranks, IReadOnlyList<BatchRow> rows)
    {
        var errors = new RowErrors();
        foreach (var row in rows.DistinctBy(row => (row.Model, row.Request.Width, row.Request.Height, row.Request.Frames, row.Request.Guidance, row.Request.Sampling.GuidanceHigh, row.Request.IsGuided)))
        {
            var pipeline = Of(row);
            pipeline.Ranks = ranks;
            errors.Try(() =>
            {
                try
                {
                    pipeline.CheckSplit(row.Request, ranks);
                }
                catch (NablaGenException error)
                {
                    throw new InvalidRequestException($"{row.Where}: {error.Message}");
                }
            });
        }

        errors.Throw();
    }

    /// <summary>Checks each model, whichever row has it.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="cancellation">Stops the checks.</param>
    /// <exception cref="NablaGenException">A model is wrong; the line names the row that named its parts.</exception>
    internal void CheckModels(IReadOnlyList<BatchRow> rows, CancellationToken cancellation)
    {
        foreach (var row in rows.DistinctBy(row => row.Model))
        {
            Named(row.Model, () => Of(row).CheckModel(cancellation));
        }
    }

    /// <summary>Checks what rows ask for, and plans the memory of each model.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="progress">Is told which rows a plan is for, and the plan.</param>
    /// <param name="cancellation">Stops the checks.</param>
    /// <exception cref="NablaGenException">A row cannot be made; the line names the row that named its model's parts.</exception>
    internal void CheckRequests(IReadOnlyList<BatchRow> rows, IGenerationProgress progress, CancellationToken cancellation)
    {
        var groups = rows.GroupBy(row => row.Model).ToList();
        foreach (var group in groups)
        {
            if (groups.Count > 1)
            {
                progress.OnNote($"{group.Count()} of {rows.Count} rows to sample: {group.Key}");
            }

            Named(group.Key, () => Of(group.First()).CheckAll([.. group.Select(row => row.Request)], progress, cancellation));
        }
    }

    // What is wrong with a row's parts is said with the row; what is wrong with the command line is not.
    private static void Named(RowModel model, Action check)
    {
        try
        {
            check();
        }
        catch (NablaGenException error) when (model.Where is not null && error is not InvalidRequestException)
        {
            throw new NablaGenException($"{model.Where}: {error.Message}", error);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var pipeline in _pipelines.Values)
        {
            pipeline.Dispose();
        }
    }
}
