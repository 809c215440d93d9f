using NablaGen.Generation.Fields;
using NablaGen.Memory;
using NablaGen.Models;
using NablaGen.Tensors;
using NablaGen.Video.Pictures;
using static TorchSharp.torch;

namespace NablaGen.Generation.Conditioning;

/// <summary>Pictures → the image encoder's tokens, where the model has one, and what the VAE makes of them.</summary>
/// <param name="model">The model.</param>
internal sealed class PictureConditioner(VideoModel model) : IConditioner
{
    /// <inheritdoc/>
    public void Check(IReadOnlyList<GenerationRequest> requests, StageClock clock, CancellationToken cancellation)
    {
        // A picture was looked at when its name was read, and PictureRules has seen that the model takes it.
    }

    /// <inheritdoc/>
    public void AddTo(IReadOnlyList<ConditioningDraft> drafts, ModuleOptions options, MemoryPlan plan, StageClock clock, CancellationToken cancellation)
    {
        var told = drafts.Where(draft => draft.Request.Image is not null).ToArray();
        if (told.Length == 0)
        {
            return;
        }

        clock.Start(GenerationStage.EncodeImage, told.Length);
        AddTokens(told, options, cancellation);
        DeviceCache.Release(options.Device);
        AddLatents(told, options, plan.Pictures?.Tiling, clock, cancellation);
    }

    private void AddTokens(ConditioningDraft[] drafts, ModuleOptions options, CancellationToken cancellation)
    {
        using var encoder = model.LoadImageEncoder(options);
        if (encoder is null)
        {
            return;
        }

        foreach (var draft in drafts)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var (width, height) = (draft.Request.Width, draft.Request.Height);
            var tokens = Pictures(draft.Request).Select(one => encoder.Encode(PictureTensor.Of(PictureFits.Apply(one.Picture, one.Fit, width, height))));
            Add(draft, Models.Conditioning.Image, cat([.. tokens], 1).cpu());
        }
    }

    private void AddLatents(ConditioningDraft[] drafts, ModuleOptions options, VaeTiling? tiling, StageClock clock, CancellationToken cancellation)
    {
        // What is asked for in float32 is float32 to the end, as in decoding.
        var type = options.Dtype == ScalarType.Float32 ? options.Dtype : VideoModel.DefaultVaeDtype(options.Device);
        using var vae = model.LoadVae(options with { Dtype = type });
        for (var i = 0; i < drafts.Length; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var request = drafts[i].Request;
            Tensor[] frames = [.. Pictures(request).Select(one => Frame(one.Picture, one.Fit, request.Width, request.Height))];
            var (name, part) = model.EncodePictures(vae, frames[0], frames.Length > 1 ? frames[1] : null, request.Frames, tiling, cancellation);
            Add(drafts[i], name, part.cpu());
            clock.Done(i + 1, null);
        }
    }

    // The passes with and without the prompt are told the same pictures.
    private static void Add(ConditioningDraft draft, string name, Tensor part)
    {
        draft.Conditioning.Prompt.Add(name, part.alias());
        draft.Conditioning.Negative?.Add(name, part.alias());
    }

    /// <summary>A picture in a video's size. [1, 3, H, W] in [−1, 1]</summary>
    internal Tensor Frame(Picture picture, string fit, int width, int height)
    {
        if (model.Pictures.CutsExactly)
        {
            return PictureTensor.Of(fit switch
            {
                PictureFits.Stretch => PictureScaling.Resize(picture, width, height),
                PictureFits.Pad => PictureScaling.Cover(PictureScaling.Pad(picture, width, height), width, height),
                _ => PictureScaling.Cover(picture, width, height),
            });
        }

        using var scope = NewDisposeScope();
        var whole = PictureTensor.Of(PictureFits.Apply(picture, fit, width, height));
        return nn.functional.interpolate(whole, size: [height, width], mode: InterpolationMode.Bicubic, align_corners: false).MoveToOuterDisposeScope();
    }

    /// <summary>A request's pictures and how each is fitted: the first, then the last if there is one.</summary>
    internal static IEnumerable<(Picture Picture, string Fit)> Pictures(GenerationRequest request)
    {
        var fit = request.Get(PictureFields.Fit) ?? PictureFits.Crop;
        var first = request.Image!.Load();
        yield return (first, fit);
        if (request.LastImage is { } named)
        {
            // One of the first one's size is treated as that; any other would be stretched by more than rounding.
            var last = named.Load();
            var isAlike = fit != PictureFits.Stretch || (last.Width, last.Height) == (first.Width, first.Height);
            yield return (last, isAlike ? fit : PictureFits.Crop);
        }
    }
}
