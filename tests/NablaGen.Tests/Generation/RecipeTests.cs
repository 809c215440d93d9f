using NablaGen.Attention;
using NablaGen.Generation;
using NablaGen.Jobs.Calibration;
using NablaGen.Tests.Jobs.Calibration;

namespace NablaGen.Tests.Generation;

public sealed class RecipeTests : IDisposable
{
    // As version 0.1 wrote it, but for the version.
    private const string Json = """
        {"prompt":"猫 \"x\"","negative_prompt":"bad","seed":7,"attention":"nabla-0.7","target_density":0.2,"thresholds":[0.5,0.25],"dense_steps":1,"dense_layers":2,"steps":2,"solver":"dpm++","shift":5,"guidance":2.5,"width":64,"height":48,"frames":5,"fps":8,"model":"m","model_hash":"0123","device":"cpu","dtype":"float32","version":"1"}
        """;

    private readonly TempFolder _folder = new();

    [Fact]
    public void It_is_read_and_written_as_ever()
    {
        var recipe = Recipe.Parse(Json, "here");
        Assert.Equal(Json, recipe.ToJson());
        Assert.Equal(recipe, Recipe.Parse(Json, "here"));
        Assert.Equal(("猫 \"x\"", "bad", 7L, "nabla-0.7", 0.2), (recipe.Prompt, recipe.NegativePrompt, recipe.Seed, recipe.Attention, recipe.TargetDensity));
        Assert.Equal((1, 2, 2, "dpm++", 5.0, 2.5), (recipe.DenseSteps, recipe.DenseLayers, recipe.Steps, recipe.Solver, recipe.Shift, recipe.Guidance));
        Assert.Equal((64, 48, 5, 8), (recipe.Width, recipe.Height, recipe.Frames, recipe.Fps));
        Assert.Equal([0.5, 0.25], recipe.Thresholds!);
        Assert.Null(recipe.Asked.Thresholds);
        // What a newer version writes is passed over.
        Assert.Equal(recipe, Recipe.Parse(Json.Replace("{\"prompt\"", "{\"newer\":[1],\"prompt\""), "here"));
    }

    [Theory]
    [InlineData("\"seed\":7", "\"seed\":\"5\"", "\"seed\": expected a whole number from 0 to 9223372036854775807, found \"5\"")]
    [InlineData("\"seed\":7", "\"seed\":-1", "\"seed\": expected a whole number from 0 to 9223372036854775807, found -1")]
    [InlineData("\"fps\":8", "\"fps\":29.97", "\"fps\": expected a whole number from 1 to 240, found 29.97")]
    [InlineData("\"fps\":8", "\"fps\":null", "\"fps\": expected a whole number from 1 to 240, found null")]
    [InlineData("\"attention\":\"nabla-0.7\"", "\"attention\":null", "\"attention\": expected an attention expression such as \"nabla-0.7\", found null")]
    [InlineData("\"attention\":\"nabla-0.7\"", "\"attention\":\"dens\"", "\"attention\": attention 'dens' is not known: ")]
    [InlineData("\"attention\":\"nabla-0.7\"", "\"attention\":\"nabla-x\",\"head_thresholds\":5", "\"head_thresholds\": expected a list of thresholds for each layer")]
    [InlineData("\"prompt\":\"猫 \\\"x\\\"\"", "\"prompt\":null", "\"prompt\": expected a string, found null")]
    [InlineData("\"solver\":\"dpm++\"", "\"solver\":null", "\"solver\": expected one of unipc, dpm++, euler, flow-euler, x0, found null")]
    [InlineData("\"thresholds\":[0.5,0.25]", "\"thresholds\":[0.5,null]", "\"thresholds\": expected a list of numbers, each above 0 and at most 1, found null")]
    [InlineData("\"model\":\"m\"", "\"model\":null", "\"model\": expected a string, found null")]
    [InlineData("\"steps\":2,", "", "\"steps\" is missing")]
    [InlineData("\"version\":\"1\"", "\"other\":1", "\"version\" is missing")]
    public void An_edited_one_is_refused_in_plain_words(string good, string bad, string expected)
    {
        Assert.Contains(good, Json);
        var error = Assert.Throws<NablaGenException>(() => Recipe.Parse(Json.Replace(good, bad), "here"));
        Assert.StartsWith($"here: the recipe's {expected}", error.Message);
        Assert.DoesNotContain('\n', error.Message);
        Assert.DoesNotContain("System.", error.Message);
    }

    [Theory]
    [InlineData("null", "here: expected a recipe, found null")]
    [InlineData("[]", "here: expected a recipe, found a list")]
    [InlineData("{", "here: its recipe is not JSON: ")]
    [InlineData("{\"prompt\":\"\\ud800\"}", "here: its recipe is not JSON: ")]
    public void What_is_no_recipe_is_refused(string json, string expected) =>
        Assert.StartsWith(expected, Assert.Throws<NablaGenException>(() => Recipe.Parse(json, "here")).Message);

    [Fact]
    public void It_opens_no_file_whatever_it_names()
    {
        // A file that would do, if it were opened.
        var file = _folder["found.json"];
        var thresholds = new HeadThresholds([[0.5]]);
        CalibrationFile.Write(file, CalibrationFileTests.Found with { Layers = 1, Heads = 1, Thresholds = thresholds });
        Assert.Equal(thresholds, ThresholdFile.ParseExpression($"nabla-{file}").HeadThresholds);
        foreach (var path in (string[])[file, @"\\host\share\x", "/dev/zero", _folder["none"]])
        {
            var json = Json.Replace("nabla-0.7", $"nabla-{path.Replace("\\", "\\\\")}");
            var error = Assert.Throws<NablaGenException>(() => Recipe.Parse(json, "here"));
            Assert.Equal($"here: the recipe's \"attention\": attention 'nabla-{path}' names the file '{path}', "
                + "and the recipe lacks the thresholds that were in it (head_thresholds)", error.Message);
            var own = Recipe.Parse(json.Replace("\"target_density\"", "\"head_thresholds\":[[0.25]],\"target_density\""), "here");
            Assert.Equal(($"nabla-{path}", new HeadThresholds([[0.25]])), (own.Attention, own.HeadThresholds));
        }
    }

    public void Dispose() => _folder.Dispose();
}
