namespace NablaGen.Generation.Fields;

/// <summary>The options of a request that say which pictures a video begins and ends with.</summary>
public static class PictureFields
{
    /// <summary>The size of the picture.</summary>
    internal const string SizeOfImage = "image";

    /// <summary>The size of the model's defaults.</summary>
    internal const string SizeOfModel = "model";

    private const FieldPlaces Named = FieldPlaces.CommandLine | FieldPlaces.Row | FieldPlaces.Recipe;

    /// <summary>The first frame.</summary>
    public static TypedField<SourcePicture?> Image { get; } = new("image", FieldKinds.Picture)
    {
        Aliases = ["-i"],
        HelpName = "FILE",
        Help = "The picture that the video begins with: a PNG, JPEG, WebP or BMP, or last-frame-of:VIDEO",
        Details = "needs a model that takes pictures",
        Places = Named,
        RecipeOrder = 16,
        OpensFile = true,
    };

    /// <summary>The last frame.</summary>
    public static TypedField<SourcePicture?> LastImage { get; } = new("last-image", FieldKinds.Picture)
    {
        HelpName = "FILE",
        Help = "The picture that the video ends with, where the model takes two",
        Places = Named,
        RecipeOrder = 17,
        OpensFile = true,
    };

    /// <summary>Where the size comes from.</summary>
    public static TypedField<string?> SizeFrom { get; } = new("size-from", FieldKinds.OneOf([SizeOfImage, SizeOfModel]))
    {
        HelpName = "NAME",
        Help = "image: the picture's aspect at the area of the model's size; model: the model's size",
        DefaultText = "image with --image, unless --width or --height is given",
        Suggestions = [SizeOfImage, SizeOfModel],
        Places = FieldPlaces.CommandLine | FieldPlaces.Row | FieldPlaces.Preset,
    };

    /// <summary>What is done with a picture of another aspect.</summary>
    public static TypedField<string?> Fit { get; } = new("fit", FieldKinds.OneOf(PictureFits.Names))
    {
        HelpName = "NAME",
        Help = "A picture of another aspect: crop its sides, pad it with black, or stretch it",
        DefaultText = "crop; stretch where the size is from the picture but for rounding",
        Suggestions = PictureFits.Names,
        Places = FieldPlaces.CommandLine | FieldPlaces.Row | FieldPlaces.Preset | FieldPlaces.Recipe,
        RecipeOrder = 18,
    };

    /// <summary>Scale of guidance of the expert of noisy latents.</summary>
    public static TypedField<double?> GuidanceHigh { get; } = new("guidance-high", FieldKinds.Number(NumberRange.AtLeast(0)))
    {
        Group = FieldGroup.HowMuch,
        HelpName = "X",
        Help = "Guidance scale of the high-noise expert, where a model has two; --guidance is then the other one's",
        DefaultText = "--guidance where that is given, else the model's",
        RecipeOrder = 11,
    };

    /// <summary>All of them, in the help's order.</summary>
    internal static IReadOnlyList<RequestField> All { get; } = [Image, LastImage, SizeFrom, Fit];
}
