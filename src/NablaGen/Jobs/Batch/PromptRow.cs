using NablaGen.Generation;

namespace NablaGen.Jobs.Batch;

/// <summary>A row of a prompt file, as it was written.</summary>
/// <param name="Where">The file and the line it begins at, for messages: <c>prompts.csv:3</c>.</param>
/// <param name="Request">What it says.</param>
public sealed record PromptRow(string Where, PartialRequest Request);
