using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Models;

namespace NablaGen.Jobs.Batch;

/// <summary>Which transformer of a model makes the videos of a list, where the model has one for pictures and one for text.</summary>
public static class RowPictures
{
    /// <summary>The model for rows that all begin with a picture, or all without one.</summary>
    /// <param name="rows">The rows; null for what is shared alone.</param>
    /// <param name="shared">What counts where a row says nothing.</param>
    /// <param name="model">The model.</param>
    /// <exception cref="InvalidRequestException">The rows need both transformers, or one names parts of the model.</exception>
    /// <exception cref="NablaGenException">The transformer for pictures is incomplete.</exception>
    public static VideoModel ModelOf(IReadOnlyList<PromptRow>? rows, PartialRequest shared, VideoModel model)
    {
        if (rows is null)
        {
            return model.For(shared.Get(PictureFields.Image) is not null);
        }

        RowModels.CheckNone(rows);
        return ModelForAll(rows, shared, model);
    }

    /// <summary>The same for rows whose parts are those of the model.</summary>
    internal static VideoModel ModelForAll(IReadOnlyList<PromptRow> rows, PartialRequest shared, VideoModel model)
    {
        bool HasPicture(PromptRow row) => (row.Request.Get(PictureFields.Image) ?? shared.Get(PictureFields.Image)) is not null;

        var (with, without) = (rows.FirstOrDefault(HasPicture), rows.FirstOrDefault(row => !HasPicture(row)));
        return with is null || without is null || model.For(hasPicture: true) == model.For(hasPicture: false)
            ? model.For(with is not null)
            : throw new InvalidRequestException($"{with.Where} has an image and {without.Where} has none: the model in {model.Path} has a transformer for each, "
                + "and a list is made with one: make two lists");
    }
}
