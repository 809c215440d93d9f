using System.Text;
using NablaGen.Cli.Commands;
using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Jobs.Batch;
using NablaGen.Models;
using NablaGen.Tests.Cli;
using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Tests.Jobs.Batch;

/// <summary>Rows that name parts of the model: its VAE, text encoder and so on.</summary>
public sealed class PartsBatchTests : IClassFixture<GoldenModelFixture>, IDisposable
{
    private static readonly PartialRequest Small = new() { Steps = 1, Guidance = 1, Frames = 1, Width = 32, Height = 32, Seed = 3 };

    private readonly TempFolder _folder = new();
    private readonly string _model;
    private readonly List<string> _stages = [];
    private readonly SilentBatch _progress;
    private int _opened;

    public PartsBatchTests(GoldenModelFixture model)
    {
        _model = model.Path;
        _progress = new SilentBatch { Look = _stages.Add };
        Changed(GoldenModelFolder.VaeFile, "b.safetensors", 1.1f);
    }

    private string B => _folder["b.safetensors"];

    [Fact]
    public void A_rows_vae_makes_other_frames_of_the_same_latents_and_its_recipe_says_so()
    {
        var list = Csv($"prompt,vae\na ball,\na ball,{B}\n");
        var (rows, summary) = Run(list);
        Assert.Equal(new BatchSummary(2, 2, 0, 0), summary);
        Assert.NotEqual(Still(rows[0]), Still(rows[1]));
        Assert.True(Same(Latents(rows[0]), Latents(rows[1])));

        // The same frames as without a batch.
        using var alone = TextToVideo.Open(_model, device: "cpu", pieces: new ModelPieces(Vae: B));
        var made = alone.Generate(rows[1].Request, _folder["alone.png"]);
        Assert.Equal(PixelsOf(_folder["alone.png"]), PixelsOf(Path.Combine(Out, rows[1].FileName)));
        var entries = rows.Select(row => new BatchManifest(Out, Shard.Whole).Find(row.Name)!).ToArray();
        Assert.Equal(["golden", "golden + b.safetensors"], entries.Select(entry => entry.Recipe.Model));
        Assert.Equal(made.Recipe, entries[1].Recipe);
        Assert.Equal(made.Recipe, RecipeFile.Read(Path.Combine(Out, rows[1].FileName)));

        // Made again from its recipe it needs the same parts.
        var from = RecipeSource.Read(Path.Combine(Out, rows[1].FileName), TestContext.Current.CancellationToken)!;
        from.Compare(made.Recipe, alone.Model, modelNamed: false, lorasNamed: false);
        var other = Assert.Throws<NablaGenException>(() => from.Compare(entries[0].Recipe, alone.Model, modelNamed: false, lorasNamed: false)).Message;
        Assert.Contains("was made with the model 'golden + b.safetensors'", other);
        Assert.Contains("and the files behind + with --text-encoder, --vae", other);

        // What is made already is known by its parts' contents.
        Assert.Equal(new BatchSummary(2, 0, 2, 0), Run(list).Summary);
        var first = Still(rows[1]);
        Changed(GoldenModelFolder.VaeFile, "b.safetensors", 0.9f);
        Assert.Equal(new BatchSummary(2, 1, 1, 0), Run(list).Summary);
        Assert.Equal(first, Still(rows[1]));
        Assert.NotEqual(first, File.ReadAllBytes(Path.Combine(Out, rows[1].Name + "-2.png")));
    }

    [Fact]
    public void A_failed_row_is_made_again_with_its_parts()
    {
        var list = Csv($"prompt,vae\na ball,\na ball,{B}\n");
        Directory.CreateDirectory(Path.Combine(Out, Plan(list).Rows[1].FileName));
        Assert.Equal(new BatchSummary(2, 1, 0, 1), Run(list).Summary);
        Directory.Delete(Path.Combine(Out, Plan(list).Rows[1].FileName));
        Assert.Equal(new BatchSummary(2, 0, 1, 1), Run(list).Summary);
        var (rows, summary) = Run(list, options: new BatchOptions { RetryFailed = true });
        Assert.Equal(new BatchSummary(2, 1, 1, 0), summary);
        Assert.NotEqual(Still(rows[0]), Still(rows[1]));
    }

    [Fact]
    public void Rows_with_the_same_parts_share_what_is_loaded_and_their_order_decides()
    {
        File.Copy(B, _folder["c.safetensors"]);
        var detour = Path.Combine(_folder.Path, ".", "b.safetensors");
        Assert.Equal(5, Run(Csv($"prompt,vae\na,\nb,\nc,{B}\nd,{detour}\ne,{_folder["c.safetensors"]}\n")).Summary.Made);
        Assert.Equal(3, _opened);
        Assert.Equal(["2 of 5 rows to sample: 'golden'", "2 of 5 rows to sample: 'golden + b.safetensors'", "1 of 5 rows to sample: 'golden + c.safetensors'"], _progress.Notes);
        Assert.Equal(3, _stages.Count(stage => stage == $"{GenerationStage.LoadTransformer}"));
        Assert.Equal(3, _stages.Count(stage => stage == $"{GenerationStage.EncodeText}"));

        // To and fro, each time anew.
        _stages.Clear();
        Assert.Equal(3, Run(Csv($"prompt,vae\nf,\ng,{B}\nh,\n")).Summary.Made);
        Assert.Equal(3, _stages.Count(stage => stage == $"{GenerationStage.LoadTransformer}"));
    }

    [Fact]
    public void A_rows_text_encoder_and_tokenizer_make_other_latents()
    {
        Changed(GoldenModelFolder.TextEncoderFile, "text.safetensors", 0.8f);
        var tokenizer = Path.Combine(_model, "google", "umt5-xxl", "spiece.model");
        var rows = Run(PromptFile.Read(Encoding.UTF8.GetBytes($$"""
            {"prompt": "a ball"}
            {"prompt": "a ball", "text_encoder": {{Json(_folder["text.safetensors"])}}, "tokenizer": {{Json(tokenizer)}}}
            """), "a.jsonl", ".jsonl")).Rows;
        Assert.False(Same(Latents(rows[0]), Latents(rows[1])));
        Assert.Equal("golden + text.safetensors + spiece.model", rows[1].Model.Model.Name);
    }

    [Fact]
    public void A_row_without_parts_has_those_of_the_command_line()
    {
        var shared = Small.With(RequestFields.Vae, B);
        var own = Path.Combine(_model, GoldenModelFolder.VaeFile);
        var rows = Plan(Csv($"prompt,vae\na ball,\na ball,{own}\n"), shared).Rows;
        Assert.Equal(["golden + b.safetensors", "golden + " + GoldenModelFolder.VaeFile], rows.Select(row => row.Model.Model.Name));
        Assert.Equal("--vae has no effect: every row has its own",
            Assert.Throws<InvalidRequestException>(() => Plan(Csv($"prompt,vae\na ball,{own}\n"), shared)).Message);
    }

    [Fact]
    public void Wrong_parts_are_refused_before_any_work_and_with_their_row()
    {
        var none = _folder["none.safetensors"];
        Assert.Equal($"a.csv:3: {none}: no such file (also wrong: a.csv:4)",
            Assert.Throws<InvalidRequestException>(() => Plan(Csv($"prompt,vae\na ball,\na ball,{none}\na star,{none}\n"))).Message.Replace("file. ", "file "));
        Assert.Equal(2, _opened);
        var text = Path.Combine(_model, GoldenModelFolder.TextEncoderFile);
        Assert.StartsWith($"a.csv:2: {text}: is a text encoder by its keys, expected a VAE",
            Assert.Throws<InvalidRequestException>(() => Plan(Csv($"prompt,vae\na ball,{text}\n"))).Message);
        Assert.StartsWith("a.csv:2: ", Assert.Throws<InvalidRequestException>(() => Plan(Csv($"prompt,Image Encoder\na ball,{B}\n"))).Message);
        Assert.StartsWith("a.jsonl:1: ", Assert.Throws<InvalidRequestException>(() => Plan(PromptFile.Read("{\"prompt\":\"x\",\"vae\":\"\"}"u8.ToArray(), "a.jsonl", ".jsonl"))).Message);

        // What only the headers tell: found before the first row starts.
        using (var scope = NewDisposeScope())
        {
            using var source = TensorSources.Open(B);
            SafetensorsWriter.Write(_folder["half.safetensors"], source.Entries.Keys.Skip(1).Select(key => KeyValuePair.Create(key, source.Read(key))));
        }

        var error = Assert.Throws<NablaGenException>(() => Run(Csv($"prompt,vae\na ball,\na ball,{_folder["half.safetensors"]}\n"))).Message;
        Assert.StartsWith($"a.csv:3: {_folder["half.safetensors"]}", error);
        Assert.DoesNotContain('\n', error);
        Assert.Empty(_stages);
        Assert.Empty(Directory.GetFiles(Out, "*", SearchOption.AllDirectories));

        // What the command line names is no row's fault.
        Assert.StartsWith(none, Assert.Throws<NablaGenException>(() => Plan(Csv($"prompt,vae\na,\nb,{B}\n"), Small.With(RequestFields.Vae, none))).Message);
    }

    [Fact]
    public void Commands_with_one_model_refuse_a_rows_parts()
    {
        var rows = Csv($"prompt,vae\na ball,\na ball,{B}\n");
        Assert.Equal("a.csv:3: \"vae\" is the same for all rows here, and belongs to the command line",
            Assert.Throws<InvalidRequestException>(() => RowPictures.ModelOf(rows, Small, VideoModel.Open(_model))).Message);
        Assert.Throws<InvalidRequestException>(() => BatchPlan.Make(rows, Small, SeedPlan.Once, VideoModel.Open(_model)));
    }

    public void Dispose() => _folder.Dispose();

    private string Out => _folder["out"];

    private static IReadOnlyList<PromptRow> Csv(string text) => PromptFile.Read(Encoding.UTF8.GetBytes(text), "a.csv", ".csv");

    private static string Json(string text) => System.Text.Json.JsonSerializer.Serialize(text);

    private (RowModels Models, IReadOnlyList<BatchRow> Rows) Plan(IReadOnlyList<PromptRow> list, PartialRequest? shared = null)
    {
        _opened = 0;
        var models = RowModels.Open(list, shared ?? Small, pieces =>
        {
            _opened++;
            return VideoModel.Open(_model, pieces);
        });
        return (models, BatchPlan.Make(list, shared ?? Small, SeedPlan.Once, models));
    }

    private (IReadOnlyList<BatchRow> Rows, BatchSummary Summary) Run(IReadOnlyList<PromptRow> list, BatchOptions? options = null)
    {
        var (models, rows) = Plan(list);
        using var pipelines = new RowPipelines(models, model => new TextToVideo(model.Model, CPU, ScalarType.Float32, keepLoaded: true));
        return (rows, new BatchRunner(pipelines, Out, options ?? new BatchOptions(), _progress).Run(rows, TestContext.Current.CancellationToken));
    }

    private byte[] Still(BatchRow row) => File.ReadAllBytes(Path.Combine(Out, row.FileName));

    // The recipe, in a PNG too, has names that differ.
    private static byte[] PixelsOf(string path) => NablaGen.Video.Pictures.PictureFile.Load(path).Rgb24;

    private Tensor Latents(BatchRow row) => LatentFile.Load(Path.Combine(Out, row.Name + ".latents.safetensors")).Latents;

    private static bool Same(Tensor a, Tensor b)
    {
        using var scope = NewDisposeScope();
        return a.eq(b).all().item<bool>();
    }

    // A part of the model with all its weights scaled.
    private void Changed(string file, string name, float factor)
    {
        using var scope = NewDisposeScope();
        using var source = TensorSources.Open(Path.Combine(_model, file));
        SafetensorsWriter.Write(_folder[name], source.Entries.Keys.Select(key => KeyValuePair.Create(key, source.Read(key) * factor)));
    }
}
