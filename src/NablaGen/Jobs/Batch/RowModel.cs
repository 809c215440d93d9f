using NablaGen.Files;
using NablaGen.Generation;
using NablaGen.Models;

namespace NablaGen.Jobs.Batch;

/// <summary>A model of a batch: that of all rows with the same parts.</summary>
/// <param name="Model">The model.</param>
/// <param name="Where">The row that named its parts first, for messages; null where no row did.</param>
public sealed record RowModel(VideoModel Model, string? Where = null)
{
    /// <summary>What its videos use where nobody says anything.</summary>
    public GenerationDefaults Defaults { get; } = GenerationDefaults.Of(Model);

    /// <summary>The model's name.</summary>
    public override string ToString() => Line.Of($"'{Model.Name}'");
}
