using NablaGen.Models.Wan.Text.Tokenizer;

namespace NablaGen.Models.Wan;

/// <summary>A Wan model's tokenizer, which checks that the text encoder has its tokens.</summary>
internal sealed class WanTokenizer(WanVideoModel model, UmT5Tokenizer tokenizer) : IPromptTokenizer
{
    /// <inheritdoc/>
    public PromptTokens Tokenize(string prompt)
    {
        var most = model.DitConfig.TextLen;
        var tokens = tokenizer.Tokenize(prompt, most);
        var largest = tokens.Ids.Max();
        if (largest >= model.TextEncoderConfig.Vocab)
        {
            throw new NablaGenException($"{model.TokenizerPath}: has token ids up to {largest}, and the text encoder in {model.TextEncoderPath} "
                + $"has {model.TextEncoderConfig.Vocab} embeddings: the two are from different models");
        }

        var count = tokens.Length == most ? tokenizer.Encode(PromptCleaner.Clean(prompt)).Length : tokens.Length;
        return new PromptTokens(tokens.Ids[..tokens.Length], count);
    }
}
