namespace NablaGen.Training.Evaluation;

/// <summary>Whether one attribute is as the prompt asked.</summary>
/// <param name="Attribute">What is judged.</param>
/// <param name="Expected">What was asked.</param>
/// <param name="Found">What was measured; "none" where nothing fits.</param>
/// <param name="Right">Whether they agree.</param>
public sealed record AttributeVerdict(ClipAttribute Attribute, string Expected, string Found, bool Right);
