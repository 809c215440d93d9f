using NablaGen.Files;
using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Models;

namespace NablaGen.Jobs.Batch;

/// <summary>The models of a prompt file's rows: one for each set of parts that rows name (text encoder, VAE, tokenizer, image encoder), opened once.</summary>
public sealed class RowModels
{
    private readonly Dictionary<PromptRow, RowModel> _ofRows = new(ReferenceEqualityComparer.Instance);

    private RowModels(IReadOnlyList<RowModel> all, IEnumerable<(PromptRow Row, RowModel Model)> ofRows)
    {
        All = all;
        foreach (var (row, model) in ofRows)
        {
            _ofRows[row] = model;
        }
    }

    /// <summary>All of them.</summary>
    public IReadOnlyList<RowModel> All { get; }

    /// <summary>Opens the models. A row's own part comes before the one that all share.</summary>
    /// <param name="rows">The rows, one at least.</param>
    /// <param name="shared">What counts where a row says nothing.</param>
    /// <param name="open">Opens the model with parts in place of its own.</param>
    /// <exception cref="InvalidRequestException">A row's parts do not fit or are not there (the message says which row), or a shared part is used by none.</exception>
    /// <exception cref="NablaGenException">The model that the command line names is wrong.</exception>
    public static RowModels Open(IReadOnlyList<PromptRow> rows, PartialRequest shared, Func<ModelPieces, VideoModel> open)
    {
        if (PieceFields.All.FirstOrDefault(field => shared.Get(field) is not null && rows.All(row => row.Request.Get(field) is not null)) is { } useless)
        {
            throw new InvalidRequestException($"{useless.Option} has no effect: every row has its own");
        }

        var opened = new Dictionary<ModelPieces, OpenedModel>();
        var ofRows = new List<(PromptRow Row, OpenedModel Model)>();
        var errors = new RowErrors();
        foreach (var row in rows)
        {
            errors.Try(() =>
            {
                var own = PieceFields.Of(row.Request);
                var pieces = own.Over(PieceFields.Of(shared));
                if (!opened.TryGetValue(Placed(pieces), out var found))
                {
                    opened.Add(Placed(pieces), found = OpenedModel.Of(pieces, open, own == ModelPieces.None ? null : row.Where));
                }

                ofRows.Add((row, found.Model is null ? throw new InvalidRequestException($"{row.Where}: {found.Fault}") : found));
            });
        }

        errors.Throw();
        var models = opened.Values.ToDictionary(found => found, found => new RowModel(RowPictures.ModelForAll(rows, shared, found.Model!), found.Where));
        return new RowModels([.. models.Values], ofRows.Select(pair => (pair.Row, models[pair.Model])));
    }

    /// <summary>The same model for all rows.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="model">The model.</param>
    /// <exception cref="InvalidRequestException">A row names parts of its own.</exception>
    public static RowModels One(IReadOnlyList<PromptRow> rows, VideoModel model)
    {
        CheckNone(rows);
        var one = new RowModel(model);
        return new RowModels([one], rows.Select(row => (row, one)));
    }

    /// <summary>Sees that no row names parts of its own.</summary>
    /// <exception cref="InvalidRequestException">One does.</exception>
    public static void CheckNone(IReadOnlyList<PromptRow> rows)
    {
        var errors = new RowErrors();
        foreach (var row in rows)
        {
            errors.Try(() =>
            {
                if (PieceFields.All.FirstOrDefault(field => row.Request.Get(field) is not null) is { } field)
                {
                    throw new InvalidRequestException($"{row.Where}: {Line.Key(field.Name)} is the same for all rows here, and belongs to the command line");
                }
            });
        }

        errors.Throw();
    }

    /// <summary>The model of a row.</summary>
    /// <param name="row">One of the rows that these are for.</param>
    public RowModel Of(PromptRow row) => _ofRows[row];

    // One file may be written in several ways.
    private static ModelPieces Placed(ModelPieces pieces)
    {
        static string? Whole(string? path) => string.IsNullOrEmpty(path) ? path : Path.GetFullPath(path);

        return new ModelPieces(Whole(pieces.TextEncoder), Whole(pieces.Vae), Whole(pieces.Tokenizer), Whole(pieces.ImageEncoder));
    }

    // A class: what it is of is told by which one it is. Where parts are wrong that a row names, the fault is kept for each row that names them.
    private sealed class OpenedModel
    {
        public VideoModel? Model { get; private init; }

        public string? Fault { get; private init; }

        public string? Where { get; private init; }

        public static OpenedModel Of(ModelPieces pieces, Func<ModelPieces, VideoModel> open, string? where)
        {
            try
            {
                return new OpenedModel { Model = open(pieces), Where = where };
            }
            catch (NablaGenException error) when (where is not null)
            {
                return new OpenedModel { Fault = error.Message };
            }
        }
    }
}
