using static TorchSharp.torch;

namespace NablaGen.Generation;

/// <summary>A checked request with its encoded prompts, ready to be sampled any number of times.</summary>
public sealed class PreparedRequest : IDisposable
{
    internal PreparedRequest(GenerationRequest request, Recipe recipe, Tensor context, Tensor? negativeContext)
    {
        Request = request;
        Recipe = recipe;
        Context = context;
        NegativeContext = negativeContext;
    }

    /// <summary>What to make.</summary>
    public GenerationRequest Request { get; }

    /// <summary>What goes into the files.</summary>
    public Recipe Recipe { get; }

    /// <summary>The encoded prompt, on the CPU. [1, tokens, TextDim]</summary>
    public Tensor Context { get; }

    /// <summary>The encoded negative prompt, on the CPU; null at guidance 1. [1, tokens, TextDim]</summary>
    public Tensor? NegativeContext { get; }

    /// <summary>The same prompts for a request that differs in other things, such as the seed or the attention.</summary>
    /// <param name="request">A request with the same prompts and guidance on or off alike.</param>
    /// <param name="recipe">Its recipe.</param>
    public PreparedRequest With(GenerationRequest request, Recipe recipe) =>
        request.Prompt == Request.Prompt && request.IsGuided == Request.IsGuided && request.NegativePrompt == Request.NegativePrompt
            ? new PreparedRequest(request, recipe, Context.alias().DetachFromDisposeScope(), NegativeContext?.alias().DetachFromDisposeScope())
            : throw new ArgumentException("the prompts differ", nameof(request));

    /// <inheritdoc/>
    public void Dispose()
    {
        Context.Dispose();
        NegativeContext?.Dispose();
    }

    internal void Detach()
    {
        Context.DetachFromDisposeScope();
        NegativeContext?.DetachFromDisposeScope();
    }
}
