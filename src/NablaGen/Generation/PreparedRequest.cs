using NablaGen.Denoising;
using NablaGen.Generation.Fields;

namespace NablaGen.Generation;

/// <summary>A checked request with its conditioning, ready to be sampled any number of times.</summary>
public sealed class PreparedRequest : IDisposable
{
    internal PreparedRequest(GenerationRequest request, Recipe recipe, GuidedConditioning conditioning) =>
        (Request, Recipe, Conditioning) = (request, recipe, conditioning);

    /// <summary>What to make.</summary>
    public GenerationRequest Request { get; }

    /// <summary>What goes into the files.</summary>
    public Recipe Recipe { get; }

    /// <summary>What the model is told, on the CPU.</summary>
    public GuidedConditioning Conditioning { get; }

    /// <summary>The same conditioning for a request that differs in other things, such as the seed or the attention.</summary>
    /// <param name="request">A request with the same prompts and pictures, guidance on or off alike, and with pictures of the same size.</param>
    /// <param name="recipe">Its recipe.</param>
    public PreparedRequest With(GenerationRequest request, Recipe recipe) =>
        request.Prompt == Request.Prompt && request.IsGuided == Request.IsGuided && request.NegativePrompt == Request.NegativePrompt && HasSamePictures(request)
            ? new PreparedRequest(request, recipe, Conditioning.Alias())
            : throw new ArgumentException("the prompts or the pictures differ", nameof(request));

    private bool HasSamePictures(GenerationRequest request) => Equals(request.Image, Request.Image) && Equals(request.LastImage, Request.LastImage)
        && (request.Image is null
            || ((request.Width, request.Height, request.Frames) == (Request.Width, Request.Height, Request.Frames)
                && request.Get(PictureFields.Fit) == Request.Get(PictureFields.Fit)));

    /// <inheritdoc/>
    public void Dispose() => Conditioning.Dispose();
}
