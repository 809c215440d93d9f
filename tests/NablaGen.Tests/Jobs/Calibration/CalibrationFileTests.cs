using NablaGen.Attention;
using NablaGen.Generation;
using NablaGen.Jobs.Calibration;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Vae;

namespace NablaGen.Tests.Jobs.Calibration;

public sealed class CalibrationFileTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public static CalibratedThresholds Found { get; } = new()
    {
        Model = "a \"model\" 猫",
        ModelHash = "0123456789abcdef",
        Layers = 2,
        Heads = 3,
        Dim = 96,
        Target = new CalibrationTarget(0.2, null),
        Density = 0.2,
        Error = 0.0123,
        DensityInUse = 0.201,
        GlobalThreshold = 0.31,
        GlobalError = 0.02,
        LayerWeights = [0.25, 0.75],
        Prompts = ["a cat", "猫"],
        Seeds = [0, 1],
        MeasuredSteps = [1, 4],
        Steps = 6,
        Solver = "unipc",
        Size = "256x256x9",
        Guidance = 2.5,
        Device = "cpu",
        Version = "1",
        Thresholds = new HeadThresholds([[0.2, 0.9, 0.5], [1, 0.05, 0.7123]]),
    };

    [Fact]
    public void A_file_is_read_back_as_it_was_written()
    {
        CalibrationFile.Write(_folder["x.json"], Found);
        var read = CalibrationFile.Read(_folder["x.json"]);
        Assert.Equivalent(Found with { Thresholds = null! }, read with { Thresholds = null! }, strict: true);
        Assert.Equal(Found.Thresholds, read.Thresholds);
        Assert.Equal(["x.json"], Directory.GetFiles(_folder.Path).Select(Path.GetFileName));
        Assert.DoesNotContain('\r', File.ReadAllText(_folder["x.json"]));
        Assert.Contains("猫", File.ReadAllText(_folder["x.json"]));
    }

    [Theory]
    [InlineData("\"format\": \"nablagen-thresholds\"", "\"format\": \"something\"", "is not a file of thresholds: expected one that nablagen calibrate wrote")]
    [InlineData("\"format_version\": 1", "\"format_version\": 2", "expected 1, which this NablaGen reads, found 2")]
    [InlineData("\"layers\": 2", "\"layers\": 7", "is for 7 layers of 3 heads, and it has thresholds for 2 layers of 3")]
    [InlineData("0.7123", "NaN", "is not JSON")]
    [InlineData("0.7123", "\"NaN\"", "could not be converted to")]
    [InlineData("0.7123", "1.5", "the threshold of layer 1, head 2 must be above 0 and at most 1, found 1.5")]
    [InlineData("0.7123", "0", "the threshold of layer 1, head 2 must be above 0 and at most 1, found 0")]
    [InlineData("0.7123", "0.7, 0.8", "layer 0 has thresholds for 3 heads, layer 1 for 4")]
    [InlineData("\"heads\": 3,", "", "heads")]
    [InlineData("\"thresholds\": [", "\"others\": [", "thresholds")]
    public void A_fault_is_named_in_one_line(string there, string instead, string expected)
    {
        CalibrationFile.Write(_folder["x.json"], Found);
        var text = File.ReadAllText(_folder["x.json"]);
        Assert.Contains(there, text);
        File.WriteAllText(_folder["x.json"], text.Replace(there, instead));
        AssertRefused(expected);
    }

    [Theory]
    [InlineData("", "is not JSON")]
    [InlineData("[1, 2]", "is not a file of thresholds")]
    [InlineData("{\"prompt\": 1}", "is not a file of thresholds")]
    [InlineData("not json", "is not JSON")]
    public void What_is_another_file_is_refused(string text, string expected)
    {
        File.WriteAllText(_folder["x.json"], text);
        AssertRefused(expected);
    }

    [Fact]
    public void A_cut_file_is_refused_wherever_it_is_cut()
    {
        CalibrationFile.Write(_folder["x.json"], Found);
        var bytes = File.ReadAllBytes(_folder["x.json"]);
        for (var length = 0; length < bytes.Length - 2; length += 7)
        {
            File.WriteAllBytes(_folder["x.json"], bytes[..length]);
            AssertRefused("is not JSON");
        }
    }

    [Theory]
    [InlineData("x.json", "")]
    [InlineData("with-dashes_and_underscores.json", "")]
    [InlineData("a-1_b-2/nabla-0.5_sta-x.json", "")]
    [InlineData("with-dashes_and_underscores.json", "_sta-11-3-5")]
    [InlineData("odd_sta-1-1-1_name", "_sta-3-1-3")]
    public void An_expression_names_a_file_of_any_name(string name, string window)
    {
        var path = _folder[name];
        CalibrationFile.Write(path, Found);
        var expression = ThresholdFile.ParseExpression($"nabla-{path}{window}");
        Assert.Equal(Found.Thresholds, expression.HeadThresholds);
        Assert.Equal((path, null), (expression.ThresholdsName, expression.Threshold));
        Assert.Equal(window, expression.Window is { } sta ? $"_{sta}" : "");
        Assert.Equal((true, false, 0), (expression.UsesNabla, expression.IsDense, expression.DefaultDenseSteps));
        Assert.Equal($"nabla-{path}{window}", expression.ToString());
        Assert.Equal($"nabla-{Path.GetFileNameWithoutExtension(name)}{window}", expression.Name);
        Assert.Equal(expression, ThresholdFile.ParseExpression(expression.ToString()));
        Assert.Equal(0.7123, expression.ThresholdOf(1, 2));

        // Of a recipe: the file need not be there.
        File.Delete(path);
        Assert.Equal(expression, AttentionExpression.ParseRecipe(expression.ToString(), Found.Thresholds));
        var error = Assert.Throws<InvalidRequestException>(() => ThresholdFile.ParseExpression($"nabla-{path}{window}"));
        Assert.Contains($"'{path}' is neither a threshold such as 0.7 nor a file", error.Message);
    }

    [Fact]
    public void A_number_is_a_threshold_and_never_a_file()
    {
        CalibrationFile.Write(_folder["0.5"], Found);
        var before = Environment.CurrentDirectory;
        try
        {
            Environment.CurrentDirectory = _folder.Path;
            Assert.Equal(0.5, ThresholdFile.ParseExpression("nabla-0.5").Threshold);
            Assert.Equal(Found.Thresholds, ThresholdFile.ParseExpression("nabla-./0.5").HeadThresholds);
        }
        finally
        {
            Environment.CurrentDirectory = before;
        }
    }

    [Theory]
    [InlineData("nabla-x.json", "nabla-{0}x.json")]
    [InlineData("nabla-x-y_z.json_sta-1-3-3", "nabla-{0}x-y_z.json_sta-1-3-3")]
    [InlineData("nabla-0.7", "nabla-0.7")]
    [InlineData("dense", "dense")]
    [InlineData("sta-1-3-3", "sta-1-3-3")]
    public void A_model_folder_brings_its_own_file(string text, string expected) =>
        Assert.Equal(expected.Replace("{0}", Path.Combine("models", "a") + Path.DirectorySeparatorChar), AttentionExpression.InFolder(text, Path.Combine("models", "a")));

    [Fact]
    public void A_request_for_another_model_or_with_a_target_density_is_refused()
    {
        var attention = AttentionExpression.Nabla(Found.Thresholds, "x.json");
        var dit = new DitConfig { Dim = 96, FfnDim = 128, NumHeads = 3, NumLayers = 2 };
        var request = new PartialRequest { Prompt = "x", Attention = attention }.ToRequest(GenerationDefaults.Wan);
        request.Check(dit.Traits, VaeConfig.Wan21.Traits);
        Assert.Contains("has thresholds for 2 layers of 3 heads, and the model has 30 layers of 12",
            Assert.Throws<InvalidRequestException>(() => request.Check(DitConfig.Wan1_3B.Traits, VaeConfig.Wan21.Traits)).Message);
        Assert.Contains("one for each: calibrate for that density instead", Assert.Throws<InvalidRequestException>(() =>
            new PartialRequest { Prompt = "x", Attention = attention, TargetDensity = 0.2 }.ToRequest(GenerationDefaults.Wan)).Message);
        Assert.Contains("has one for each head", Assert.Throws<InvalidRequestException>(() =>
            (request with { TargetDensity = 0.2 }).Check(dit.Traits, VaeConfig.Wan21.Traits)).Message);
    }

    [Fact]
    public void A_recipe_carries_the_thresholds_and_tells_changed_ones()
    {
        Recipe Of(HeadThresholds thresholds) => Recipe.Of(
            new PartialRequest { Prompt = "x", Seed = 1, Attention = AttentionExpression.Nabla(thresholds, "x.json") }.ToRequest(GenerationDefaults.Wan), "m", "h", "cpu", "float32");
        var recipe = Of(Found.Thresholds);
        var read = Recipe.Parse(recipe.ToJson(), "here");
        Assert.Equal(recipe, read);
        Assert.Equal(("nabla-x.json", Found.Thresholds), (read.Attention, read.HeadThresholds));
        Assert.Equal(Found.Thresholds, PartialRequest.Of(read).Attention!.HeadThresholds);
        Assert.NotEqual(recipe, Of(new HeadThresholds([[0.2, 0.9, 0.5], [1, 0.05, 0.7]])));
        Assert.Equal(
            "here: the recipe's \"attention\": attention 'nabla-x.json' names the file 'x.json', and the recipe lacks the thresholds that were in it (head_thresholds)",
            Assert.Throws<NablaGenException>(() => Recipe.Parse(recipe.ToJson().Replace("head_thresholds", "unknown"), "here")).Message);
        Assert.Equal("here: the recipe's \"head_thresholds\": the threshold of layer 1, head 2 must be above 0 and at most 1, found 7",
            Assert.Throws<NablaGenException>(() => Recipe.Parse(recipe.ToJson().Replace("0.7123", "7"), "here")).Message);
    }

    public void Dispose() => _folder.Dispose();

    private void AssertRefused(string expected)
    {
        var error = Assert.Throws<NablaGenException>(() => CalibrationFile.Read(_folder["x.json"]));
        Assert.StartsWith($"{_folder["x.json"]}: ", error.Message);
        Assert.Contains(expected, error.Message);
        Assert.DoesNotContain('\n', error.Message);
        Assert.Throws<NablaGenException>(() => ThresholdFile.ParseExpression($"nabla-{_folder["x.json"]}"));
    }
}
