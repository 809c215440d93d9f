using NablaGen.Models;

namespace NablaGen.Generation.Fields;

/// <summary>The rules that bind the fields of pictures to one another and to the video's size.</summary>
internal static class PictureRules
{
    /// <summary>What is said there, without what is said here otherwise or has no effect beside it.</summary>
    /// <param name="here">What counts.</param>
    /// <param name="there">What counts where nothing is said here.</param>
    public static FieldValues Under(FieldValues here, FieldValues there)
    {
        if (here.Get(RequestFields.Width) is not null || here.Get(RequestFields.Height) is not null)
        {
            there = there.With(PictureFields.SizeFrom, null);
        }

        if (here.Get(PictureFields.SizeFrom) is not null)
        {
            there = there.With(RequestFields.Width, null).With(RequestFields.Height, null);
        }

        // A guidance scale alone is that of both experts.
        if (here.Get(RequestFields.Guidance) is not null)
        {
            there = there.With(PictureFields.GuidanceHigh, null);
        }

        return here.Over(there).Get(PictureFields.Image) is null ? there.With(PictureFields.SizeFrom, null).With(PictureFields.Fit, null) : there;
    }

    /// <summary>The size and the fit that the pictures and the model make.</summary>
    /// <param name="said">What is said.</param>
    /// <param name="defaults">The model's.</param>
    /// <exception cref="InvalidRequestException">Something said has no effect, or a picture is to be named.</exception>
    public static FieldValues Complete(FieldValues said, GenerationDefaults defaults)
    {
        var (image, sizeFrom) = (said.Get(PictureFields.Image), said.Get(PictureFields.SizeFrom));
        Named(PictureFields.Image, image);
        Named(PictureFields.LastImage, said.Get(PictureFields.LastImage));
        if (image is null)
        {
            Refuse(said, PictureFields.LastImage, "the first one is missing: name it with --image");
            Refuse(said, PictureFields.SizeFrom, "it has no effect without --image");
            Refuse(said, PictureFields.Fit, "it has no effect without --image");
            return said;
        }

        var isSized = said.Get(RequestFields.Width) is not null || said.Get(RequestFields.Height) is not null;
        if (isSized && sizeFrom is not null)
        {
            throw new InvalidRequestException("--size-from and --width or --height both say the size: give one of them");
        }

        var isFromImage = !isSized && sizeFrom != PictureFields.SizeOfModel && defaults.Pictures.TakesFirst;
        if (isFromImage)
        {
            var (width, height) = defaults.Pictures.SizeOf((long)defaults.Width * defaults.Height, image.Width, image.Height);
            said = said.With(RequestFields.Width, width).With(RequestFields.Height, height);
        }

        return said.With(PictureFields.SizeFrom, null)
            .With(PictureFields.Fit, said.Get(PictureFields.Fit) ?? (isFromImage && !defaults.Pictures.CutsExactly ? PictureFits.Stretch : PictureFits.Crop));
    }

    /// <summary>Guidance of the high-noise expert: what is said, what is said of both, or the model's.</summary>
    public static FieldValues CompleteGuidance(FieldValues said, GenerationDefaults defaults)
    {
        var high = defaults.Get(PictureFields.GuidanceHigh);
        return high is null
            ? said
            : said.With(PictureFields.GuidanceHigh, said.Get(PictureFields.GuidanceHigh) ?? said.Get(RequestFields.Guidance) ?? high);
    }

    /// <summary>Sees that a model is told what it needs, and nothing that has no effect.</summary>
    /// <exception cref="InvalidRequestException">It is not.</exception>
    public static void Check(GenerationRequest request, VideoModel model)
    {
        var (pictures, image, last) = (model.Pictures, request.Get(PictureFields.Image), request.Get(PictureFields.LastImage));
        Require(pictures.TakesFirst || image is null, $"the model '{model.Name}' makes videos of text alone: --image has no effect");
        Require(!pictures.NeedsFirst || image is not null, $"the model '{model.Name}' makes videos from a picture: name it with --image");
        Require(pictures.NeedsLast || last is null, $"the model '{model.Name}' takes no last picture: --last-image has no effect");
        Require(!pictures.NeedsLast || last is not null, $"the model '{model.Name}' makes videos between two pictures: name the last one with --last-image");
        Require(!pictures.NeedsLast || request.Frames > 1, "a video between two pictures has at least 5 frames");
        Require(model.Transformer.Boundary is not null || request.Get(PictureFields.GuidanceHigh) is null,
            $"the model '{model.Name}' has one transformer: --guidance-high has no effect");
    }

    // A recipe may be anyone's: no file that it alone names is opened.
    private static void Named(RequestField field, SourcePicture? picture) => Require(
        picture is null || picture.IsNamed,
        $"the recipe's video was made with the picture '{Files.Line.Of(picture?.Name ?? "")}' (SHA-256 {picture?.ShortHash}…): name it with {field.Option}");

    private static void Refuse(FieldValues said, RequestField field, string why) => Require(said.Find(field) is null, $"{field.Option}: {why}");

    private static void Require(bool holds, string otherwise)
    {
        if (!holds)
        {
            throw new InvalidRequestException(otherwise);
        }
    }
}
