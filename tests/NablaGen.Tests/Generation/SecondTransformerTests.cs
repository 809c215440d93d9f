using System.Text.Json.Nodes;
using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Jobs.Batch;
using NablaGen.Models;
using NablaGen.Models.Wan;
using NablaGen.Tests.Training;
using NablaGen.Tests.Training.Evaluation;
using NablaGen.Video.Pictures;
using static TorchSharp.torch;

namespace NablaGen.Tests.Generation;

/// <summary>A model folder with a transformer for text and one for pictures, which share the rest.</summary>
public sealed class SecondTransformerTests : IDisposable
{
    private const string Weights = "diffusion_pytorch_model.safetensors";

    private readonly TempFolder _folder = new();

    public SecondTransformerTests()
    {
        var sizes = Toys.Sizes();
        RandomModel.Save(_folder["model"], sizes);
        RandomModel.Save(_folder["told"], sizes.ForTask("i2v") with { Others = sizes.Others with { Name = "toy-i2v", Defaults = sizes.Others.Defaults.With(("steps", 3)) } });
        Directory.CreateDirectory(Second);
        foreach (var file in new[] { "config.json", "nablagen.json", Weights })
        {
            File.Copy(Path.Combine(_folder["told"], file), Path.Combine(Second, file));
        }
    }

    private string Second => _folder["model/i2v_model"];

    [Fact]
    public void A_picture_takes_the_second_transformer_and_text_the_first()
    {
        var text = WanVideoModel.Open(_folder["model"]);
        var told = (WanVideoModel)text.For(hasPicture: true);
        Assert.Same(text, text.For(hasPicture: false));
        Assert.Same(told, text.For(hasPicture: true));
        Assert.Same(told, told.For(hasPicture: true));
        Assert.Same(text, told.For(hasPicture: false));
        Assert.Equal((false, true), (text.Pictures.TakesFirst, told.Pictures.TakesFirst));
        Assert.Equal(("toy", "toy-i2v"), (text.Name, told.Name));
        Assert.Equal((8, 3), (GenerationDefaults.Of(text).Steps, GenerationDefaults.Of(told).Steps));
        Assert.Equal((text.Path, text.VaePath, text.TextEncoderPath), (told.Path, told.VaePath, told.TextEncoderPath));
        Assert.NotEqual(text.ComputeHash(), told.ComputeHash());
        Assert.Equal(4, ModelInspector.Inspect(_folder["model"]).Files.Count);

        // Where there is no second one, the first is asked, which says that it takes none.
        var alone = WanVideoModel.Open(_folder["told"]);
        Assert.Same(alone, alone.For(hasPicture: true));
        Assert.Same(alone, alone.For(hasPicture: false));
    }

    // Two files, of which one could be forgotten.
    [Fact]
    public void The_model_in_the_box_says_the_same_of_both()
    {
        Assert.True(JsonNode.DeepEquals(Read("nablagen.json"), Read("i2v_model/nablagen.json")));

        static JsonNode Read(string file) => JsonNode.Parse(File.ReadAllText(Path.Combine(Toys.Box, file)))!;
    }

    [Fact]
    public void Both_make_videos()
    {
        var text = WanVideoModel.Open(_folder["model"]);
        foreach (var hasPicture in new[] { false, true })
        {
            var model = text.For(hasPicture);
            using var pipeline = new TextToVideo(model, CPU, ScalarType.Float32);
            var result = pipeline.Measure(new PartialRequest { Prompt = "a red ball", Seed = 3, Steps = 2 }
                .With(PictureFields.Image, hasPicture ? Picture() : null).ToRequest(GenerationDefaults.Of(model)));
            Assert.Equal(hasPicture, result.Seconds.ContainsKey(GenerationStage.EncodeImage));
        }
    }

    [Fact]
    public void What_the_second_one_lacks_hinders_pictures_alone()
    {
        File.Delete(Path.Combine(Second, Weights));
        var text = WanVideoModel.Open(_folder["model"]);
        text.Check();
        Assert.Equal($"{Second}: the model folder is incomplete: it lacks the transformer's weights (expected {Weights} or {Weights}.index.json).",
            Assert.Throws<NablaGenException>(() => text.For(hasPicture: true)).Message);

        File.Copy(_folder[$"model/{Weights}"], Path.Combine(Second, Weights));
        File.Copy(_folder["model/config.json"], Path.Combine(Second, "config.json"), overwrite: true);
        Assert.Contains("\"model_type\": expected a model that is told a picture, such as \"i2v\", found \"t2v\"",
            Assert.Throws<NablaGenException>(() => WanVideoModel.Open(_folder["model"]).For(hasPicture: true)).Message);
    }

    [Fact]
    public void A_list_is_made_with_one_of_them()
    {
        var text = WanVideoModel.Open(_folder["model"]);
        var (plain, picture) = (new PartialRequest { Prompt = "x" }, new PartialRequest { Prompt = "x" }.With(PictureFields.Image, Picture()));
        PromptRow Row(int line, PartialRequest request) => new($"list.csv:{line}", request);

        Assert.Same(text, RowPictures.ModelOf([Row(2, plain), Row(3, plain)], plain, text));
        Assert.Same(text.For(hasPicture: true), RowPictures.ModelOf([Row(2, picture)], plain, text));
        Assert.Same(text.For(hasPicture: true), RowPictures.ModelOf([Row(2, plain), Row(3, picture)], picture, text));
        Assert.Same(text.For(hasPicture: true), RowPictures.ModelOf(null, picture, text));
        Assert.StartsWith($"list.csv:3 has an image and list.csv:2 has none: the model in {_folder["model"]} has a transformer for each",
            Assert.Throws<InvalidRequestException>(() => RowPictures.ModelOf([Row(2, plain), Row(3, picture)], plain, text)).Message);

        // One transformer does both, or says itself what it needs.
        var alone = WanVideoModel.Open(_folder["told"]);
        Assert.Same(alone, RowPictures.ModelOf([Row(2, plain), Row(3, picture)], plain, alone));
    }

    public void Dispose() => _folder.Dispose();

    private SourcePicture Picture()
    {
        PictureFile.SavePng(_folder["a.png"], 32, 32, [.. Enumerable.Range(0, 32 * 32 * 3).Select(i => (byte)(i * 7))]);
        return SourcePicture.Open(_folder["a.png"]);
    }
}
