namespace NablaGen.Models;

/// <summary>Splits prompts into the tokens that a model's text encoder reads.</summary>
public interface IPromptTokenizer
{
    /// <summary>A prompt's tokens.</summary>
    /// <exception cref="NablaGenException">The text encoder lacks a token: the two are from different models.</exception>
    PromptTokens Tokenize(string prompt);
}

/// <summary>A prompt's tokens.</summary>
/// <param name="Ids">Those that the model reads, the end of sequence included.</param>
/// <param name="Count">How many the prompt has, which is more than are read where it is too long.</param>
public readonly record struct PromptTokens(int[] Ids, int Count);
