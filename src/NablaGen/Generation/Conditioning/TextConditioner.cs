using NablaGen.Memory;
using NablaGen.Models;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Generation.Conditioning;

/// <summary>Prompts → tokens → what the transformer attends to.</summary>
/// <param name="model">The model.</param>
internal sealed class TextConditioner(VideoModel model) : IConditioner
{
    private IPromptTokenizer? _tokenizer;

    /// <inheritdoc/>
    public void Check(IReadOnlyList<GenerationRequest> requests, StageClock clock, CancellationToken cancellation)
    {
        _tokenizer ??= model.LoadTokenizer();
        // Of a list's prompts, many are the same.
        foreach (var text in requests.SelectMany(Texts).Distinct())
        {
            cancellation.ThrowIfCancellationRequested();
            var tokens = _tokenizer.Tokenize(text);
            if (tokens.Count > tokens.Ids.Length)
            {
                clock.Cut(text, tokens.Count, tokens.Ids.Length);
            }
        }
    }

    /// <inheritdoc/>
    public void AddTo(IReadOnlyList<ConditioningDraft> drafts, ModuleOptions options, MemoryPlan plan, StageClock clock, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        using var encoder = model.LoadTextEncoder(options);
        _tokenizer ??= model.LoadTokenizer();
        var encoded = new Dictionary<string, Tensor>();
        Tensor Encode(string text)
        {
            if (!encoded.TryGetValue(text, out var context))
            {
                using var inner = NewDisposeScope();
                encoded[text] = context = encoder.Encode(_tokenizer.Tokenize(text).Ids).to(CPU).MoveToOuterDisposeScope();
            }

            return context.alias();
        }

        for (var i = 0; i < drafts.Count; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            var (request, conditioning) = drafts[i];
            conditioning.Prompt.Add(Models.Conditioning.Text, Encode(request.Prompt));
            conditioning.Negative?.Add(Models.Conditioning.Text, Encode(request.NegativePrompt));
            clock.Done(i + 1, null);
        }
    }

    private static string[] Texts(GenerationRequest request) => request.IsGuided ? [request.Prompt, request.NegativePrompt] : [request.Prompt];
}
