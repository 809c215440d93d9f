using System.Text.Json;
using NablaGen.Denoising;
using NablaGen.Models;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Layouts;
using NablaGen.Models.Wan.Text.Tokenizer;
using NablaGen.Tensors;
using NablaGen.Tests.Weights;
using NablaGen.Weights;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models.Layouts;

/// <summary>One model in each layout: found by keys and shapes, and the same to the bit.</summary>
public sealed class LayoutTests : IDisposable
{
    private static readonly Lazy<float[]> Expected = new(() =>
    {
        using var folder = new TempFolder();
        GoldenModelFolder.Assemble(folder.Path);
        return Latents(WanVideoModel.Open(folder.Path));
    });

    private readonly TempFolder _temp = new();
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly string _official;

    public LayoutTests()
    {
        _official = _temp["official"];
        GoldenModelFolder.Assemble(_official);
    }

    [Fact]
    public void Diffusers_folder()
    {
        LayoutFolders.Diffusers(_official, _temp["diffusers"]);
        AssertSame(WanVideoModel.Open(_temp["diffusers"]));
    }

    [Fact]
    public void Comfys_models_directory()
    {
        var file = LayoutFolders.Comfy(_official, _temp["models"]);
        var model = WanVideoModel.Open(file);
        AssertSame(model);
        Assert.Equal(
            [$"text encoder {Path.Combine(_temp["models"], "text_encoders", "b.safetensors")}", "tokenizer inside it", $"VAE {Path.Combine(_temp["models"], "vae", "c.safetensors")}"],
            model.Choices);
        Assert.Equal("a.safetensors + b.safetensors + c.safetensors", model.Name);
        var directory = WanVideoModel.Open(_temp["models"]);
        AssertSame(directory);
        Assert.Equal([$"transformer {file}", .. model.Choices], directory.Choices);

        // What lies beside the transformer counts, whether the file is named or the directory.
        File.WriteAllText(Path.Combine(_temp["models"], "diffusion_models", "nablagen.json"), """{"name":"beside"}""");
        Assert.All([file, _temp["models"]], path => Assert.StartsWith("beside + ", WanVideoModel.Open(path).Name, StringComparison.Ordinal));

        // A second VAE that fits: the larger counts, and the line says so.
        File.Copy(model.VaePath, Path.Combine(_temp["models"], "vae", "another.safetensors"));
        Assert.Contains("another.safetensors (the largest of 2 that fit)", WanVideoModel.Open(file).Choices[2], StringComparison.Ordinal);
    }

    [Fact]
    public void Gguf_with_what_lies_beside_it() => AssertSame(WanVideoModel.Open(LayoutFolders.Gguf(_official, _temp["gguf"])));

    [Fact]
    public void What_lies_in_its_own_folder_comes_before_what_lies_farther_up()
    {
        var file = LayoutFolders.Gguf(_official, _temp["z"]);
        var own = Path.Combine(_temp["z"], "VAE", "vae.safetensors");
        Directory.CreateDirectory(_temp["VAE"]);
        File.Copy(own, Path.Combine(_temp["VAE"], "a.safetensors"));
        var model = WanVideoModel.Open(file);
        Assert.Equal(own, model.VaePath);
        Assert.Contains($"VAE {own}", model.Choices);
        File.Delete(own);
        Assert.Equal(Path.Combine(_temp["VAE"], "a.safetensors"), WanVideoModel.Open(file).VaePath);
    }

    [Fact]
    public void A_trainers_file_and_pieces_that_are_named()
    {
        LayoutFolders.Trainer(_official, _temp["trained.pth"]);
        var pieces = new ModelPieces(
            Path.Combine(_official, GoldenModelFolder.TextEncoderFile), Path.Combine(_official, GoldenModelFolder.VaeFile), LayoutFolders.Tokenizer(_official));
        var model = WanVideoModel.Open(_temp["trained.pth"], pieces);
        AssertSame(model);
        Assert.Empty(model.Choices);
        Assert.EndsWith("spiece.model", model.Name, StringComparison.Ordinal);

        // A nablagen.json names them too, beside itself.
        File.WriteAllText(_temp[NablaGenJson.FileName], JsonSerializer.Serialize(new
        {
            defaults = new { text_encoder = "official/" + GoldenModelFolder.TextEncoderFile, vae = "official/" + GoldenModelFolder.VaeFile },
        }));
        AssertSame(WanVideoModel.Open(_temp["trained.pth"]));
    }

    [Fact]
    public void A_piece_takes_the_place_of_a_folders_own()
    {
        LayoutFolders.Comfy(_official, _temp["models"]);
        var text = Path.Combine(_temp["models"], "text_encoders", "b.safetensors");
        File.Delete(Path.Combine(_official, GoldenModelFolder.TextEncoderFile));
        File.Delete(LayoutFolders.Tokenizer(_official));
        RawFile.Fault(() => WanVideoModel.Open(_official), "incomplete", "the text encoder");
        var model = WanVideoModel.Open(_official, new ModelPieces(TextEncoder: text));
        AssertSame(model);
        Assert.Equal((text, text), (model.TextEncoderPath, model.TokenizerPath));
        var vae = Path.Combine(_official, GoldenModelFolder.VaeFile);
        RawFile.Fault(() => WanVideoModel.Open(_official, new ModelPieces(TextEncoder: vae)), vae, "is a VAE by its keys, expected a text encoder");
        RawFile.Fault(() => WanVideoModel.Open(vae), vae, "is a VAE by its keys", "--vae");
    }

    [Fact]
    public void A_tokenizer_json_gives_the_same_ids()
    {
        var vocabulary = SentencePieceModel.Read(LayoutFolders.Tokenizer(_official));
        File.WriteAllText(_temp["tokenizer.json"], JsonSerializer.Serialize(new
        {
            model = new { type = "Unigram", unk_id = 2, vocab = vocabulary.Pieces.Select(piece => new object[] { piece.Text, piece.Score }).Append(["<extra_id_0>", 0.0]) },
        }));
        var texts = new[] { "A red ball bounces.", "two  words", "<extra_id_0> ünïcode" };
        var (own, json) = (UmT5Tokenizer.Load(LayoutFolders.Tokenizer(_official)), TokenizerFile.At(_temp["tokenizer.json"]).Load());
        Assert.All(texts, text => Assert.Equal(own.Encode(text), json.Encode(text)));

        var gguf = new GgufBytes().Key("tokenizer.ggml.tokens", vocabulary.Pieces.Select(piece => piece.Text).Append("[PAD256]").ToArray())
            .Key("tokenizer.ggml.scores", vocabulary.Pieces.Select(piece => piece.Score).Append(-1).ToArray());
        File.WriteAllBytes(_temp["text.gguf"], gguf.ToArray());
        var inside = TokenizerFile.At(_temp["text.gguf"]).Load();
        Assert.All(texts, text => Assert.Equal(own.Encode(text), inside.Encode(text)));
        File.WriteAllText(_temp["bad.json"], """{"model":{"type":"BPE","vocab":[]}}""");
        RawFile.Fault(() => TokenizerFile.At(_temp["bad.json"]).Load(), _temp["bad.json"], "\"BPE\"", "\"Unigram\"");
    }

    [Fact]
    public void What_is_missing_is_named()
    {
        var file = LayoutFolders.Comfy(_official, _temp["models"]);
        File.Delete(Path.Combine(_temp["models"], "text_encoders", "b.safetensors"));
        RawFile.Fault(() => WanVideoModel.Open(file), file, "no text encoder", Path.Combine(_temp["models"], "text_encoders"), "--text-encoder", "broken.safetensors");
        var text = Path.Combine(_official, GoldenModelFolder.TextEncoderFile);
        File.Copy(text, _temp["text.safetensors"]);
        RawFile.Fault(() => WanVideoModel.Open(file, new ModelPieces(_temp["text.safetensors"])), _temp["text.safetensors"], "--tokenizer");
        SafetensorsWriter.Write(_temp["other.safetensors"], [KeyValuePair.Create("down_blocks.0.weight", zeros(2))]);
        RawFile.Fault(() => WanVideoModel.Open(_temp["other.safetensors"]), _temp["other.safetensors"], "not a Wan model by its keys");
        var lora = _temp["lora.safetensors"];
        SafetensorsWriter.Write(lora, [KeyValuePair.Create("diffusion_model.blocks.0.ffn.0.lora_A.weight", zeros(1, 2)), KeyValuePair.Create("diffusion_model.blocks.0.ffn.0.lora_B.weight", zeros(2, 1))]);
        RawFile.Fault(() => WanVideoModel.Open(lora), $"{lora}: is a LoRA by its keys", "--lora");
        RawFile.Fault(() => VideoModel.Open(""), "the model's name is empty");
        RawFile.Fault(() => VideoModel.Open("none.safetensors"), "none.safetensors: no such file.");
        RawFile.Fault(() => SafetensorsFile.Open(""), "the name of a file is empty");
        if (!OperatingSystem.IsWindows())
        {
            File.CreateSymbolicLink(_temp["link.safetensors"], _temp["nowhere"]);
            RawFile.Fault(() => SafetensorsFile.Open(_temp["link.safetensors"]), $"is a link to {_temp["nowhere"]}, which is not there");
        }
    }

    [Fact]
    public void One_bad_file_of_a_folder_hides_no_other()
    {
        File.Copy(Path.Combine(_official, GoldenModelFolder.TextEncoderFile), Path.Combine(Directory.CreateDirectory(_temp["files"]).FullName, "text.safetensors"));
        File.WriteAllText(Path.Combine(_temp["files"], "bad.safetensors"), "no tensors");
        var found = ModelInspector.Inspect(_temp["files"]);
        Assert.Equal(["nothing that can be read", "text encoder"], found.Files.Select(file => file.Kind));
        Assert.Contains("is not a safetensors file", found.Files[0].Problem);
    }

    public void Dispose()
    {
        _scope.Dispose();
        _temp.Dispose();
    }

    private static float[] Latents(WanVideoModel model)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        model.Check();
        var request = GoldenSampling.Request("nabla-0.7", steps: 2) with { Width = 96, Height = 64 };
        var tokenizer = model.LoadTokenizer();
        using var encoder = model.LoadTextEncoder(ModuleOptions.Cpu);
        using var sampler = new LatentSampler(model.LoadTransformer(ModuleOptions.Cpu));
        var latents = sampler.Sample(
            request, LatentSampler.Noise(request.LatentShape(model.Latents), request.Seed),
            encoder.Encode(tokenizer.Tokenize(request.Prompt).Ids), encoder.Encode(tokenizer.Tokenize(request.NegativePrompt).Ids));
        using var vae = (NablaGen.Models.Wan.Vae.WanVae)model.LoadVae(ModuleOptions.Cpu);
        var frames = new List<float>();
        vae.Decode(latents.unsqueeze(0), chunk => frames.AddRange(chunk.contiguous().data<float>().ToArray()));
        return [.. latents.contiguous().data<float>().ToArray(), .. frames];
    }

    private static void AssertSame(WanVideoModel model)
    {
        Assert.Matches("^[0-9a-f]{16}$", model.ComputeHash());
        Assert.Equal(Expected.Value, Latents(model));
    }
}
