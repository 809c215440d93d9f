using System.CommandLine;
using NablaGen.Cli.Commands;
using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Jobs.Batch;
using NablaGen.Models.Wan;

namespace NablaGen.Tests.Generation.Fields;

/// <summary>A field that is in the table is everywhere: shown with one that no other code knows.</summary>
public sealed class RequestFieldTableTests : IDisposable
{
    private static readonly TypedField<double?> Reuse = new("reuse-limit", FieldKinds.Number(NumberRange.FromTo(0, 1)))
    {
        Aliases = ["-r"],
        HelpName = "0-1",
        Help = "Reuse what changes less than this",
        DefaultValue = 0,
    };

    private static readonly RequestFieldTable Table = RequestFields.Table.With(Reuse);

    private readonly TempFolder _folder = new();

    [Theory]
    [InlineData("--reuse-limit")]
    [InlineData("-r")]
    public void The_command_line_has_its_option(string name)
    {
        var options = new GenerationOptions(Table);
        var command = new Command("make");
        options.AddTo(command);
        Assert.Equal("Reuse what changes less than this [default: 0]", command.Options.Single(option => option.Name == "--reuse-limit").Description);
        var request = options.Read(command.Parse([name, "0.25", "--prompt", "x"]));
        Assert.Equal((0.25, "x", null), (request.Get(Reuse), request.Prompt, request.Seed));
        Assert.Equal("--reuse-limit: 'much' is not a number",
            Assert.Throws<InvalidRequestException>(() => options.Read(command.Parse([name, "much"]))).Message);
        Assert.Equal("reuse limit must be from 0 to 1, found 2", Assert.Throws<InvalidRequestException>(() => options.Read(command.Parse([name, "2"]))).Message);
    }

    [Theory]
    [InlineData(".jsonl", "{\"prompt\":\"x\",\"reuse_limit\":0.25}")]
    [InlineData(".csv", "prompt,Reuse Limit\nx,0.25")]
    public void A_row_has_its_key(string kind, string text)
    {
        var bytes = System.Text.Encoding.UTF8.GetBytes(text);
        Assert.Equal(0.25, PromptFile.Read(bytes, "a" + kind, kind, Table).Single().Request.Get(Reuse));
        var error = Assert.Throws<InvalidRequestException>(() => PromptFile.Read(bytes, "a" + kind, kind)).Message;
        Assert.StartsWith("a" + kind + ":1: unknown key ", error);
    }

    [Fact]
    public void A_recipe_has_its_key_where_it_differs_from_its_default()
    {
        var recipe = RecipeOf(0.25);
        Assert.Contains("\"fps\":16,\"reuse_limit\":0.25,\"model\":", recipe.ToJson());
        var read = Recipe.Parse(recipe.ToJson(), "here", Table);
        Assert.Equal((recipe, 0.25), (read, read.Get(Reuse)));
        Assert.NotEqual(recipe, RecipeOf(0.5));
        Assert.Equal(0.25, PartialRequest.Of(read, Table).Get(Reuse));

        // One without it is equal to that of a version which did not know it.
        Assert.Equal(RecipeOf(null, RequestFields.Table), RecipeOf(null));
        Assert.Equal(RecipeOf(null), RecipeOf(0));
        // Made again, it has its own default and not a model's.
        var model = GenerationDefaults.Of(WanDefaults.Values.With(("reuse_limit", 0.75)), Table);
        Assert.Equal(0.0, PartialRequest.Of(RecipeOf(0), Table).ToRequest(model).Get(Reuse));
        Assert.Equal("here: the recipe's \"reuse_limit\": expected a number from 0 to 1, found \"0.25\"",
            Assert.Throws<NablaGenException>(() => Recipe.Parse(recipe.ToJson().Replace("0.25", "\"0.25\""), "here", Table)).Message);
    }

    [Fact]
    public void A_models_defaults_have_its_key()
    {
        File.WriteAllText(_folder["nablagen.json"], "{\"defaults\":{\"reuse_limit\":0.75}}");
        var raw = NablaGenJson.Open(_folder["nablagen.json"]).Defaults;
        var request = new PartialRequest { Prompt = "x" }.ToRequest(GenerationDefaults.Of(raw, Table));
        Assert.Equal((0.75, 832), (request.Get(Reuse), request.Width));
        Assert.StartsWith($"{_folder["nablagen.json"]}: unknown key \"defaults.reuse_limit\": expected one of attention, fps, frames, ",
            Assert.Throws<NablaGenException>(() => GenerationDefaults.Of(raw)).Message);
    }

    [Fact]
    public void A_preset_has_its_key()
    {
        File.WriteAllText(_folder["presets.json"], "{\"fast\": {\"steps\": 8, \"threshold\": 0.6, \"reuse_limit\": 0.25}, \"plain\": {}}");
        var presets = Preset.ReadFile(_folder["presets.json"], Table);
        Assert.Equal(["fast", "plain"], presets.Select(preset => preset.Name));
        var fast = presets[0].Values;
        Assert.Equal((8, "nabla-0.6", 0.25), (fast.Steps, $"{fast.Attention}", fast.Get(Reuse)));
        Assert.Equal(new PartialRequest(), presets[1].Values);
        Assert.StartsWith($"{_folder["presets.json"]}: unknown key \"fast.reuse_limit\"",
            Assert.Throws<NablaGenException>(() => Preset.ReadFile(_folder["presets.json"])).Message);
    }

    [Fact]
    public void The_docs_have_its_row() =>
        Assert.Contains("| `--reuse-limit 0-1`, `-r` | `0` | Reuse what changes less than this |\n", FieldHelp.Markdown(Table));

    [Fact]
    public void The_docs_are_the_tables()
    {
        const string Begin = "<!-- From RequestFields by RequestFieldTableTests; NABLAGEN_WRITE_DOCS=1 writes it. -->\n", End = "<!-- end -->\n";
        var path = Path.Combine(Repository(), "docs", "options.md");
        var text = File.ReadAllText(path).ReplaceLineEndings("\n");
        int from = text.IndexOf(Begin, StringComparison.Ordinal) + Begin.Length, to = text.IndexOf(End, StringComparison.Ordinal);
        Assert.InRange(from, Begin.Length, to);
        var table = FieldHelp.Markdown(RequestFields.Table);
        if (Environment.GetEnvironmentVariable("NABLAGEN_WRITE_DOCS") is { Length: > 0 })
        {
            File.WriteAllText(path, text[..from] + table + text[to..]);
            return;
        }

        Assert.Equal(table, text[from..to]);
    }

    [Fact]
    public void Two_fields_of_one_name_are_refused() => Assert.Throws<ArgumentException>(() => Table.With(Reuse));

    public void Dispose() => _folder.Dispose();

    private static string Repository()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "NablaGen.sln")))
        {
            folder = folder.Parent ?? throw new DirectoryNotFoundException("no NablaGen.sln above the tests' program");
        }

        return folder.FullName;
    }

    private static Recipe RecipeOf(double? reuse, RequestFieldTable? table = null)
    {
        var request = new PartialRequest { Prompt = "x", Seed = 1 }.With(Reuse, reuse);
        return Recipe.Of(request.ToRequest(GenerationDefaults.Of(WanDefaults.Values, table ?? Table)), "m", "h", "cpu", "float32");
    }
}
