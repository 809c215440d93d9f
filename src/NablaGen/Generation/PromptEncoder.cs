using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Text;
using NablaGen.Tensors;
using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Generation;

/// <summary>A prompt's tokens → what the transformer attends to: the text encoder, in memory until disposed of.</summary>
public sealed class PromptEncoder : IDisposable
{
    private readonly T5Encoder _encoder;

    private PromptEncoder(T5Encoder encoder) => _encoder = encoder;

    /// <summary>Reads a model's text encoder.</summary>
    public static PromptEncoder Load(ModelFolder folder, ModuleOptions options)
    {
        var encoder = new T5Encoder(folder.TextEncoderConfig, options);
        try
        {
            using var source = folder.OpenTextEncoder();
            CheckpointLoader.Load(source, encoder);
            return new PromptEncoder(encoder);
        }
        catch
        {
            encoder.Dispose();
            throw;
        }
    }

    /// <summary>Encodes a prompt's true tokens, the end of sequence included. [1, tokens, TextDim]</summary>
    public Tensor Encode(int[] tokens)
    {
        using var noGrad = no_grad();
        return _encoder.Encode(tokens);
    }

    /// <inheritdoc/>
    public void Dispose() => _encoder.Dispose();
}
