using NablaGen.Checkpoints;
using NablaGen.Models;
using NablaGen.Models.TextEncoder;
using static TorchSharp.torch;

namespace NablaGen.Pipeline;

/// <summary>Prompts → what the transformer attends to: tokenizer and text encoder, in memory until disposed of.</summary>
public sealed class PromptEncoder : IDisposable
{
    private readonly UmT5Tokenizer _tokenizer;
    private readonly T5Encoder _encoder;
    private readonly int _textLength;

    private PromptEncoder(UmT5Tokenizer tokenizer, T5Encoder encoder, int textLength)
    {
        _tokenizer = tokenizer;
        _encoder = encoder;
        _textLength = textLength;
    }

    /// <summary>Reads a model's tokenizer and text encoder.</summary>
    public static PromptEncoder Load(ModelFolder folder, ModuleOptions options)
    {
        var tokenizer = UmT5Tokenizer.Load(folder.TokenizerPath);
        var encoder = new T5Encoder(folder.TextEncoderConfig, options);
        try
        {
            using var source = folder.OpenTextEncoder();
            CheckpointLoader.Load(source, encoder);
            return new PromptEncoder(tokenizer, encoder, folder.DitConfig.TextLen);
        }
        catch
        {
            encoder.Dispose();
            throw;
        }
    }

    /// <summary>Encodes a prompt. [1, its true length, TextDim]</summary>
    public Tensor Encode(string prompt)
    {
        using var noGrad = no_grad();
        var text = _tokenizer.Tokenize(prompt, _textLength);
        return _encoder.Encode(text.Ids[..text.Length]);
    }

    /// <inheritdoc/>
    public void Dispose() => _encoder.Dispose();
}
