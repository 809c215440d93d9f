using NablaGen.Models;

namespace NablaGen.Generation.Fields;

/// <summary>The options of a request that name files in place of a model's own. The model is opened with them, so nothing else of a request reads them.</summary>
public static class PieceFields
{
    /// <summary>All of them, in the help's order.</summary>
    public static IReadOnlyList<TypedField<string?>> All { get; } = [RequestFields.TextEncoder, RequestFields.Vae, RequestFields.Tokenizer, RequestFields.ImageEncoder];

    /// <summary>The files that are named.</summary>
    /// <param name="request">What is said.</param>
    public static ModelPieces Of(PartialRequest request) => new(
        request.Get(RequestFields.TextEncoder), request.Get(RequestFields.Vae), request.Get(RequestFields.Tokenizer), request.Get(RequestFields.ImageEncoder));
}
