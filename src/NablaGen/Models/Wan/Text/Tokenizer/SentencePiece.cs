namespace NablaGen.Models.Wan.Text.Tokenizer;

/// <summary>One entry of a SentencePiece vocabulary; its id is its place.</summary>
/// <param name="Text">What it stands for, ▁ for a space.</param>
/// <param name="Score">Its log probability; 0 for control, user-defined and byte pieces.</param>
internal readonly record struct SentencePiece(string Text, float Score);
