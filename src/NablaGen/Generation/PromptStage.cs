using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Text.Tokenizer;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Generation;

/// <summary>The text side of a pipeline: prompts → tokens → what the transformer attends to.</summary>
internal sealed class PromptStage(ModelFolder folder)
{
    private UmT5Tokenizer? _tokenizer;

    /// <summary>Whether the tokenizer is loaded.</summary>
    public bool IsReady => _tokenizer is not null;

    /// <summary>Reads the tokenizer.</summary>
    /// <exception cref="NablaGenException">Its file is bad.</exception>
    public void LoadTokenizer() => _tokenizer ??= UmT5Tokenizer.Load(folder.TokenizerPath);

    /// <summary>The true tokens of each prompt and, with guidance, negative prompt; of a list's, many are the same.</summary>
    public IReadOnlyDictionary<string, int[]> Tokenize(IReadOnlyList<GenerationRequest> requests, StageClock clock) =>
        requests.SelectMany(Texts).Distinct().ToDictionary(text => text, text => Tokenize(text, clock));

    /// <summary>Encodes all prompts, each once; the text encoder is read for it and gone afterwards.</summary>
    public PreparedRequest[] Encode(
        IReadOnlyList<GenerationRequest> requests, IReadOnlyDictionary<string, int[]> tokens, ModuleOptions options,
        Func<GenerationRequest, Recipe> recipeOf, StageClock clock, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        using var encoder = PromptEncoder.Load(folder, options);
        var encoded = new Dictionary<string, Tensor>();
        Tensor Context(string text)
        {
            if (!encoded.TryGetValue(text, out var context))
            {
                using var inner = NewDisposeScope();
                // On the CPU a thousand prompts take no room from the models.
                encoded[text] = context = encoder.Encode(tokens[text]).to(CPU).MoveToOuterDisposeScope();
            }

            return context.alias();
        }

        var prepared = new PreparedRequest[requests.Count];
        for (var i = 0; i < prepared.Length; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            var contexts = Texts(requests[i]).Select(Context).ToArray();
            prepared[i] = new PreparedRequest(requests[i], recipeOf(requests[i]), contexts[0], contexts.ElementAtOrDefault(1));
            clock.Done(i + 1, null);
        }

        foreach (var one in prepared)
        {
            one.Detach();
        }

        return prepared;
    }

    private static string[] Texts(GenerationRequest request) => request.IsGuided ? [request.Prompt, request.NegativePrompt] : [request.Prompt];

    private int[] Tokenize(string text, StageClock clock)
    {
        var most = folder.DitConfig.TextLen;
        var tokens = _tokenizer!.Tokenize(text, most);
        if (tokens.Length == most && _tokenizer.Encode(PromptCleaner.Clean(text)).Length is var all && all > most)
        {
            clock.Cut(text, all, most);
        }

        var largest = tokens.Ids.Max();
        return largest < folder.TextEncoderConfig.Vocab
            ? tokens.Ids[..tokens.Length]
            : throw new NablaGenException($"{folder.TokenizerPath}: gives the token {largest}, and the text encoder in {folder.TextEncoderPath} "
                + $"knows {folder.TextEncoderConfig.Vocab}: the two do not belong together");
    }
}
