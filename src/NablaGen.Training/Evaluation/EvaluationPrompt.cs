using NablaGen.Generation;

namespace NablaGen.Training.Evaluation;

/// <summary>A prompt and what a clip for it must show.</summary>
/// <param name="Text">The prompt.</param>
/// <param name="Expectation">What it asks for.</param>
/// <param name="IsHeldOut">Whether every object in it has a combination of colour, shape and motion that training never shows.</param>
/// <param name="Picture">The first frame, of the video's size, for a model that is told one; null for text alone.</param>
public sealed record EvaluationPrompt(string Text, Expectation Expectation, bool IsHeldOut, SourcePicture? Picture = null);
