using NablaGen.Generation;
using NablaGen.Generation.Conditioning;
using NablaGen.Generation.Fields;
using NablaGen.Models;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Dit;
using NablaGen.Video.Pictures;
using static TorchSharp.torch;

namespace NablaGen.Tests.Generation;

/// <summary>Pictures as options of a request: sizes, fits, recipes, and what models take.</summary>
public sealed class PictureRequestTests(PictureModelFixture models) : IClassFixture<PictureModelFixture>, IDisposable
{
    private readonly TempFolder _folder = new();

    [Theory]
    [InlineData(10_080, 121, 90, 112, 80)]
    [InlineData(832 * 480, 832, 480, 832, 480)]
    [InlineData(832 * 480, 480, 832, 480, 832)]
    [InlineData(832 * 480, 1000, 1000, 624, 624)]
    [InlineData(1280 * 720, 4000, 3000, 1104, 816)]
    public void Sides_are_rounded_down_each_by_itself(long area, int width, int height, int expectedWidth, int expectedHeight) =>
        Assert.Equal((expectedWidth, expectedHeight), new PictureTraits(true, true, false, 16, CutsExactly: false).SizeOf(area, width, height));

    // The sizes of the authors' own function.
    [Theory]
    [InlineData(1280 * 704, 1280, 704, 1280, 704)]
    [InlineData(1280 * 704, 704, 1280, 704, 1280)]
    [InlineData(1280 * 704, 1000, 1000, 960, 928)]
    [InlineData(1280 * 704, 1920, 1080, 1248, 704)]
    public void The_nearer_of_two_roundings_is_taken(long area, int width, int height, int expectedWidth, int expectedHeight)
    {
        var size = new PictureTraits(true, false, false, 32, CutsExactly: true).SizeOf(area, width, height);
        Assert.True(size.Width * size.Height <= area);
        Assert.Equal((expectedWidth, expectedHeight), size);
    }

    [Fact]
    public void A_picture_too_thin_is_refused() =>
        Assert.Contains("too long and thin", Assert.Throws<InvalidRequestException>(() => new PictureTraits(true, true, false, 16, false).SizeOf(1000, 100, 1)).Message);

    [Fact]
    public void The_size_comes_from_the_picture_unless_another_is_named()
    {
        var defaults = GenerationDefaults.Of(Model("i2v"));
        var image = Picture("a.png", 96, 48);
        var request = new PartialRequest { Prompt = "x" }.With(PictureFields.Image, image).ToRequest(defaults);
        Assert.Equal((80, 32, PictureFits.Stretch), (request.Width, request.Height, request.Get(PictureFields.Fit)));

        var sized = new PartialRequest { Prompt = "x", Width = 64 }.With(PictureFields.Image, image).ToRequest(defaults);
        Assert.Equal((64, 64, PictureFits.Crop), (sized.Width, sized.Height, sized.Get(PictureFields.Fit)));
        var model = new PartialRequest { Prompt = "x" }.With(PictureFields.Image, image).With(PictureFields.SizeFrom, "model").ToRequest(defaults);
        Assert.Equal((64, 64), (model.Width, model.Height));

        var exact = new PartialRequest { Prompt = "x" }.With(PictureFields.Image, image).ToRequest(GenerationDefaults.Of(Model("ti2v")));
        Assert.Equal((128, 32, PictureFits.Crop), (exact.Width, exact.Height, exact.Get(PictureFields.Fit)));
    }

    [Fact]
    public void What_has_no_effect_is_refused()
    {
        var defaults = GenerationDefaults.Of(Model("i2v"));
        var image = Picture("a.png", 96, 48);
        string Refusal(Func<PartialRequest, PartialRequest> change) =>
            Assert.Throws<InvalidRequestException>(() => change(new PartialRequest { Prompt = "x" }).ToRequest(defaults)).Message;
        Assert.Equal("--fit: it has no effect without --image", Refusal(request => request.With(PictureFields.Fit, "pad")));
        Assert.Equal("--size-from: it has no effect without --image", Refusal(request => request.With(PictureFields.SizeFrom, "image")));
        Assert.Contains("--image", Refusal(request => request.With(PictureFields.LastImage, image)));
        Assert.Contains("give one of them", Refusal(request => (request with { Width = 64 }).With(PictureFields.Image, image).With(PictureFields.SizeFrom, "image")));
    }

    [Theory]
    [InlineData("t2v", true, false, "makes videos of text alone: --image has no effect")]
    [InlineData("i2v", false, false, "makes videos from a picture: name it with --image")]
    [InlineData("i2v", true, true, "takes no last picture: --last-image has no effect")]
    [InlineData("flf2v", true, false, "name the last one with --last-image")]
    [InlineData("ti2v", false, false, null)]
    [InlineData("ti2v", true, false, null)]
    [InlineData("flf2v", true, true, null)]
    public void A_model_gets_the_pictures_that_it_takes(string kind, bool first, bool last, string? fault)
    {
        var model = Model(kind);
        var image = Picture("a.png", 64, 64);
        var request = new PartialRequest { Prompt = "x" }.With(PictureFields.Image, first ? image : null).With(PictureFields.LastImage, last ? image : null)
            .ToRequest(GenerationDefaults.Of(model));
        if (fault is null)
        {
            request.Check(model);
        }
        else
        {
            Assert.Contains(fault, Assert.Throws<InvalidRequestException>(() => request.Check(model)).Message);
        }
    }

    [Fact]
    public void A_recipe_asks_for_its_picture_and_opens_none()
    {
        var defaults = GenerationDefaults.Of(Model("i2v"));
        var image = Picture("a.png", 96, 48);
        var request = new PartialRequest { Prompt = "x", Seed = 1 }.With(PictureFields.Image, image).ToRequest(defaults);
        var recipe = Recipe.Of(request, "m", "h", "cpu", "float32");
        Assert.Contains($"\"image\":{{\"path\":\"{image.Name}\",\"sha256\":\"{image.Sha256}\"}}", recipe.ToJson());
        var read = Recipe.Parse(recipe.ToJson().Replace(image.Name, "/dev/zero"), "a.json");
        Assert.Equal(recipe, read);

        var asked = Assert.Throws<InvalidRequestException>(() => PartialRequest.Of(read).ToRequest(defaults)).Message;
        Assert.Contains("'/dev/zero'", asked);
        Assert.Contains("name it with --image", asked);
        var again = new PartialRequest().With(PictureFields.Image, image).Over(PartialRequest.Of(read), defaults).ToRequest(defaults);
        Assert.Equal(recipe, Recipe.Of(again, "m", "h", "cpu", "float32"));
        Assert.True(again.Image!.IsNamed);
    }

    [Fact]
    public void A_wrong_or_changed_picture_is_one_line()
    {
        File.WriteAllText(_folder["text.png"], "no picture");
        var source = FieldSource.Row("rows.csv:3");
        var error = Assert.Throws<InvalidRequestException>(
            () => RequestFields.Table.Read([KeyValuePair.Create((RequestField)PictureFields.Image, _folder["text.png"])], source)).Message;
        Assert.StartsWith("rows.csv:3: ", error);
        Assert.DoesNotContain('\n', error);
        Assert.Throws<NablaGenException>(() => SourcePicture.Open(_folder["none.png"]));
        Assert.All(["", SourcePicture.LastFrameOf], name => Assert.Contains("name is empty", Assert.Throws<InvalidRequestException>(() => SourcePicture.Open(name)).Message));
        File.WriteAllText(_folder["video.mp4"], "a video");
        Assert.EndsWith($"is named last-frame-of:{_folder["video.mp4"]}", Assert.Throws<NablaGenException>(() => SourcePicture.Open(_folder["video.mp4"])).Message);

        var image = Picture("a.png", 8, 8);
        Picture("a.png", 8, 9);
        Assert.Contains("has changed", Assert.Throws<NablaGenException>(image.Load).Message);
    }

    [Fact]
    public void Guidance_alone_is_that_of_both_experts()
    {
        var model = Model("experts");
        var defaults = GenerationDefaults.Of(model);
        GenerationRequest Of(PartialRequest said) => (said with { Prompt = "x" }).ToRequest(defaults);
        Assert.Equal((5, 4), (Of(new()).Guidance, Of(new()).Get(PictureFields.GuidanceHigh)));
        Assert.Equal((2, 2), (Of(new() { Guidance = 2 }).Guidance, Of(new() { Guidance = 2 }).Get(PictureFields.GuidanceHigh)));
        var both = Of(new PartialRequest { Guidance = 1 }.With(PictureFields.GuidanceHigh, 3));
        Assert.True(both.IsGuided);
        both.Check(model);
        Assert.Null(Recipe.Of(Of(new() { Guidance = 1 }), "m", "h", "cpu", "float32").NegativePrompt);

        var text = Model("t2v");
        var request = new PartialRequest { Prompt = "x" }.With(PictureFields.GuidanceHigh, 3).ToRequest(GenerationDefaults.Of(text));
        Assert.Contains("--guidance-high has no effect", Assert.Throws<InvalidRequestException>(() => request.Check(text)).Message);
    }

    [Theory]
    [InlineData("i2v", false, "480P", 832, 3.0, 40, 5.0)]
    [InlineData("i2v", false, "Wan2.1-I2V-14B-720P", 1280, 5.0, 40, 5.0)]
    [InlineData("flf2v", false, "720P", 1280, 16.0, 50, 5.5)]
    [InlineData("i2v", true, "x", 1280, 5.0, 40, 3.5)]
    [InlineData("t2v", true, "x", 1280, 12.0, 40, 3.0)]
    [InlineData("t2v", false, "x", 832, 5.0, 50, 5.0)]
    public void Defaults_are_the_authors_for_each_task(string kind, bool hasExperts, string name, int width, double shift, int steps, double guidance)
    {
        var defaults = GenerationDefaults.Of(WanDefaults.Of(DitConfig.Wan14B with { ModelType = kind }, hasExperts, name));
        Assert.Equal((width, shift, steps, guidance), (defaults.Width, defaults.Shift, defaults.Steps, defaults.Guidance));
        Assert.Equal(kind != "t2v" && !hasExperts, defaults.NegativePrompt.Contains("镜头晃动", StringComparison.Ordinal));
    }

    [Fact]
    public void Pictures_are_cropped_padded_and_covered()
    {
        // Left half black, right half white.
        var picture = new Picture(8, 4, [.. Enumerable.Range(0, 8 * 4 * 3).Select(i => (byte)(i / 3 % 8 < 4 ? 0 : 255))]);
        var cropped = PictureFits.Apply(picture, PictureFits.Crop, 100, 100);
        Assert.Equal((4, 4), (cropped.Width, cropped.Height));
        Assert.Equal([0, 0, 255, 255], Enumerable.Range(0, 4).Select(x => (int)cropped.Rgb24[3 * x]));
        var padded = PictureFits.Apply(picture, PictureFits.Pad, 100, 100);
        Assert.Equal((8, 8), (padded.Width, padded.Height));
        Assert.Equal((0, 255), (padded.Rgb24[3 * 7], padded.Rgb24[3 * (3 * 8 + 7)]));
        Assert.Same(picture, PictureFits.Apply(picture, PictureFits.Stretch, 100, 100));
        var covered = PictureScaling.Cover(picture, 16, 16);
        Assert.Equal((16, 16), (covered.Width, covered.Height));
        Assert.True(covered.Rgb24[0] < 60 && covered.Rgb24[3 * 15] > 195);
    }

    [Theory]
    [InlineData("ti2v")]
    [InlineData("i2v")]
    public void Each_fit_makes_another_frame_of_the_videos_size(string kind)
    {
        using var scope = NewDisposeScope();
        var conditioner = new PictureConditioner(Model(kind));
        var picture = Picture("a.png", 90, 40).Load();
        var frames = PictureFits.Names.Select(fit => conditioner.Frame(picture, fit, 64, 64)).ToArray();
        Assert.All(frames, frame => Assert.Equal([1, 3, 64, 64], frame.shape));
        Assert.All(frames, frame => Assert.Equal(2, frames.Count(other => (other - frame).abs().mean().item<float>() > 0.01)));
    }

    [Fact]
    public void A_last_picture_of_another_size_is_cropped_where_the_first_is_stretched_by_rounding()
    {
        var defaults = GenerationDefaults.Of(Model("flf2v"));
        string[] Fits(SourcePicture last) => [.. PictureConditioner.Pictures(new PartialRequest { Prompt = "x" }
            .With(PictureFields.Image, Picture("a.png", 96, 48)).With(PictureFields.LastImage, last).ToRequest(defaults)).Select(one => one.Fit)];
        Assert.Equal([PictureFits.Stretch, PictureFits.Crop], Fits(Picture("b.png", 30, 50)));
        Assert.Equal([PictureFits.Stretch, PictureFits.Stretch], Fits(Picture("b.png", 96, 48)));
    }

    public void Dispose() => _folder.Dispose();

    private WanVideoModel Model(string kind) => models[kind];

    private SourcePicture Picture(string name, int width, int height)
    {
        PictureFile.SavePng(_folder[name], width, height, [.. Enumerable.Range(0, width * height * 3).Select(i => (byte)i)]);
        return SourcePicture.Open(_folder[name]);
    }
}
