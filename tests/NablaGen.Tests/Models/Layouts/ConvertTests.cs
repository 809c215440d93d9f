using NablaGen.Models;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Layouts;
using NablaGen.Models.Wan.Layouts.Keys;
using NablaGen.Tensors;
using NablaGen.Tests.Weights;
using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models.Layouts;

public sealed class ConvertTests : IDisposable
{
    private readonly TempFolder _temp = new();

    private static string Golden(string file) => Path.Combine(GoldenFolder.Path, "checkpoints", file);

    [Theory]
    [InlineData("bf16", ScalarType.BFloat16)]
    [InlineData("fp16", ScalarType.Float16)]
    [InlineData("fp32", ScalarType.Float32)]
    public void A_quantised_file_becomes_a_plain_one(string format, ScalarType type)
    {
        using var scope = NewDisposeScope();
        PieceConverter.Convert(Golden("comfy-fp8-scaled.safetensors"), _temp["wan.safetensors"], format);
        using var source = PieceFile.Open(Golden("comfy-fp8-scaled.safetensors"), WanPiece.Transformer);
        using var file = SafetensorsFile.Open(_temp["wan.safetensors"]);
        Assert.Equal(source.Entries.Keys.Order(), file.Entries.Keys.Order());
        foreach (var name in file.Entries.Keys)
        {
            Assert.Equal(type, file.Read(name).dtype);
            Assert.True(source.Read(name).to_type(ScalarType.Float32).to_type(type).eq(file.Read(name)).all().item<bool>(), name);
        }

        RawFile.Fault(() => PieceConverter.Convert(Golden("base.safetensors"), _temp["wan.safetensors"], format), "is there already");
    }

    [Fact]
    public void Eight_bits_with_scales_are_close_and_read_as_comfys()
    {
        using var scope = NewDisposeScope();
        PieceConverter.Convert(Golden("base.safetensors"), _temp["wan.safetensors"], "fp8-scaled");
        Assert.InRange(ModelInspector.InspectFile(_temp["wan.safetensors"]).Formats["F8_E4M3 with a scale a tensor"], 10, 1000);
        using var source = PieceFile.Open(Golden("base.safetensors"), WanPiece.Transformer);
        using var file = PieceFile.Open(_temp["wan.safetensors"], WanPiece.Transformer);
        foreach (var name in source.Entries.Keys)
        {
            var (expected, found) = (source.Read(name).to_type(ScalarType.Float32), file.Read(name).to_type(ScalarType.Float32));
            // Half a step of three bits of mantissa, or of the subnormals.
            var bound = expected.abs().mul(tensor(1 / 16f)).maximum(expected.abs().max().mul(tensor(1 / 448f / 1024f))).mul(tensor(1.001f));
            Assert.True(found.sub(expected).abs().le(bound).all().item<bool>(), name);
        }
    }

    [Fact]
    public void Codes_are_the_nearest()
    {
        var values = Float8.Values(StoredType.F8_E4M3).ToArray();
        for (var code = 0; code < 0x7E; code++)
        {
            Assert.Equal(code, Float8.ToE4M3(values[code]));
            Assert.Equal(code | 0x80, Float8.ToE4M3(-values[code]));
            var middle = (values[code] + values[code + 1]) / 2;
            Assert.Equal(code + code % 2, Float8.ToE4M3(middle));
            Assert.Equal(code, Float8.ToE4M3(MathF.BitDecrement(middle)));
            Assert.Equal(code + 1, Float8.ToE4M3(MathF.BitIncrement(middle)));
        }

        Assert.Equal((0x7E, 0x7E, 0x7F), (Float8.ToE4M3(448), Float8.ToE4M3(1e30f), Float8.ToE4M3(float.NaN)));
    }

    [Fact]
    public void A_text_encoder_keeps_its_tokenizer()
    {
        GoldenModelFolder.Assemble(_temp["official"]);
        LayoutFolders.Comfy(_temp["official"], _temp["models"]);
        PieceConverter.Convert(Path.Combine(_temp["models"], "text_encoders", "b.safetensors"), _temp["text.safetensors"], "bf16");
        var model = WanVideoModel.Open(_temp["official"], new ModelPieces(TextEncoder: _temp["text.safetensors"]));
        model.Check();
        Assert.Equal(_temp["text.safetensors"], model.TokenizerPath);
        Assert.NotEmpty(model.LoadTokenizer().Tokenize("a ball").Ids);
        RawFile.Fault(() => PieceConverter.Convert(model.VaePath, _temp["vae.safetensors"], "fp8-scaled"), "is a VAE");
        RawFile.Fault(() => PieceConverter.Convert(Golden("torch-zip-some-keys.pth"), _temp["some.safetensors"], "bf16"), "is no whole transformer", "missing");
        Assert.False(File.Exists(_temp["some.safetensors"]));
    }

    [Fact]
    public void Eight_bits_of_gguf_are_the_nearest()
    {
        using var scope = NewDisposeScope();
        PieceConverter.Convert(Golden("base.safetensors"), _temp["wan.gguf"], PieceConverter.Q8);
        var found = ModelInspector.InspectFile(_temp["wan.gguf"]);
        Assert.Equal((0, 0, null), (found.Missing.Count, found.Surplus.Count, found.Problem));
        Assert.InRange(found.Formats["Q8_0"], 10, 1000);
        using var source = PieceFile.Open(Golden("base.safetensors"), WanPiece.Transformer);
        using var file = PieceFile.Open(_temp["wan.gguf"], WanPiece.Transformer);
        foreach (var name in source.Entries.Keys)
        {
            var (expected, read) = (source.Read(name).to_type(ScalarType.Float32), file.Read(name).to_type(ScalarType.Float32));
            if (file.Entries[name].Format != "Q8_0")
            {
                // Stored in float32 or float16: the golden's bfloat16 fits into the first.
                Assert.True(expected.to_type(file.Entries[name].Type.ToScalarType()).to_type(ScalarType.Float32).eq(read).all().item<bool>(), name);
                continue;
            }

            // Half a step of the block's largest by 127, and what the step loses as a half.
            var blocks = expected.view(-1, 32);
            var step = blocks.abs().amax([1], keepdim: true).div(tensor(127f));
            var bound = step.mul(tensor(0.5f + 127f / 2048f)).add(tensor(1e-7f)).expand_as(blocks);
            Assert.True(read.view(-1, 32).sub(blocks).abs().le(bound).all().item<bool>(), name);
        }

        RawFile.Fault(() => PieceConverter.Convert(Golden("base.safetensors"), _temp["wan.safetensors"], PieceConverter.Q8), "ends in .gguf");
    }

    // Heads of 64 and a short prompt: shapes tell neither.
    [Theory]
    [InlineData("wan.safetensors", "bf16")]
    [InlineData("wan.gguf", PieceConverter.Q8)]
    public void A_single_file_says_what_its_shapes_do_not(string name, string format)
    {
        using var scope = NewDisposeScope();
        var config = new DitConfig { Dim = 128, FfnDim = 64, NumHeads = 2, NumLayers = 1, FreqDim = 32, TextDim = 32, TextLen = 48, SparseAlgorithm = "nabla-0.7" };
        using var model = new WanModel(config, ModuleOptions.Meta);
        Directory.CreateDirectory(_temp["official"]);
        var file = Path.Combine(_temp["official"], GoldenModelFolder.DitFile);
        SafetensorsWriter.Write(file, model.Shapes().Select(pair => KeyValuePair.Create(pair.Key, randn(pair.Value))));
        Assert.Contains("1 heads (taken to be 128 wide", ModelInspector.InspectFile(file).Sizes);
        File.WriteAllText(Path.Combine(_temp["official"], "config.json"), TransformerNote.Json(config).ToJsonString());
        Assert.DoesNotContain("taken to be", ModelInspector.InspectFile(file).Sizes);

        PieceConverter.Convert(file, _temp[name], format);
        using var piece = PieceFile.Open(_temp[name])!;
        Assert.Equal(config, SingleFileLayout.Sizes(_temp[name], _temp.Path, piece.Source).Config);
        Assert.Contains("2 heads, feed-forward", ModelInspector.InspectFile(_temp[name]).Sizes);
    }

    [Fact]
    public void A_note_that_claims_other_sizes_is_refused()
    {
        using var scope = NewDisposeScope();
        var config = new DitConfig { Dim = 128, FfnDim = 64, NumHeads = 2, NumLayers = 1, FreqDim = 32, TextDim = 32 };
        using var model = new WanModel(config, ModuleOptions.Meta);
        var tensors = model.Shapes().Select(pair => KeyValuePair.Create(pair.Key, zeros(pair.Value))).ToList();
        foreach (var wrong in new[] { config with { Dim = 256 }, config with { NumLayers = 1000 }, config with { FfnDim = 128 } })
        {
            SafetensorsWriter.Write(_temp["noted.safetensors"], tensors, new Dictionary<string, string> { [TransformerNote.Key] = TransformerNote.Json(wrong).ToJsonString() });
            Assert.Contains("contradicts the shapes", ModelInspector.InspectFile(_temp["noted.safetensors"]).Problem);
        }
    }

    [Fact]
    public void A_note_that_is_no_configuration_is_refused_by_the_files_name()
    {
        using var scope = NewDisposeScope();
        foreach (var (note, why) in new[] { ("[", "is not JSON"), ("""{"dim": 256}""", "ffn_dim"), ("""{"dim": 256, "ffn_dim": 64, "num_heads": 3, "num_layers": 1}""", "multiple") })
        {
            SafetensorsWriter.Write(_temp["noted.safetensors"], [KeyValuePair.Create("head.modulation", zeros(1, 2, 256))], new Dictionary<string, string> { [TransformerNote.Key] = note });
            var found = ModelInspector.InspectFile(_temp["noted.safetensors"]);
            Assert.StartsWith(_temp["noted.safetensors"], found.Problem);
            Assert.Contains(why, found.Problem);
        }
    }

    [Fact]
    public void A_lora_is_merged_once_for_all()
    {
        using var scope = NewDisposeScope();
        SafetensorsWriter.Write(_temp["lora.safetensors"],
            [KeyValuePair.Create("blocks.0.self_attn.q.lora_A.weight", ones(2, 256)), KeyValuePair.Create("blocks.0.self_attn.q.lora_B.weight", ones(256, 2))]);
        var lora = new NablaGen.Weights.Lora.LoraChoice(_temp["lora.safetensors"], 0.5);
        using var source = PieceFile.Open(Golden("base.safetensors"), WanPiece.Transformer);
        PieceConverter.Convert(Golden("base.safetensors"), _temp["wan.safetensors"], "fp32", [lora]);
        using var file = SafetensorsFile.Open(_temp["wan.safetensors"]);
        const string changed = "blocks.0.self_attn.q.weight";
        Assert.True(source.Read(changed).to_type(ScalarType.Float32).add(ones(1)).sub(file.Read(changed)).abs().le(tensor(1e-6f)).all().item<bool>());
        Assert.All(source.Entries.Keys.Where(name => name != changed), name => Assert.True(source.Read(name).to_type(ScalarType.Float32).eq(file.Read(name)).all().item<bool>(), name));
        RawFile.Fault(() => PieceConverter.Convert(Golden("base.safetensors"), _temp["other.safetensors"], "fp32", [lora with { Expert = NablaGen.Weights.Lora.LoraExpert.High }]), "not two experts");
    }

    [Fact]
    public void The_colours_of_previews_go_along()
    {
        GoldenModelFolder.Assemble(_temp["official"]);
        var json = Path.Combine(_temp["official"], NablaGenJson.FileName);
        var model = WanVideoModel.Open(_temp["official"]);
        float[] factors = [.. Enumerable.Range(0, 3 * (model.Latents.Channels + 1)).Select(i => i / 8f)];
        (NablaGenJson.Open(json) with { Preview = new LatentColorMap(model.ComputeVaeHash(), factors, [.. factors.Reverse()]) }).Save(json);
        ModelConverter.Convert(WanVideoModel.Open(_temp["official"]), _temp["diffusers"], new ConversionOptions("diffusers", "bf16", long.MaxValue));
        var written = WanVideoModel.Open(_temp["diffusers"]);
        var colors = written.PreviewColors!;
        Assert.Equal(factors, colors.First);
        Assert.Equal(factors.Reverse(), colors.Later);
        // The VAE has other names in its file now.
        Assert.NotEqual(model.ComputeVaeHash(), colors.Vae);
        Assert.Equal(written.ComputeVaeHash(), colors.Vae);

        // Those of another VAE stay behind.
        (NablaGenJson.Open(json) with { Preview = colors with { Vae = "another" } }).Save(json);
        ModelConverter.Convert(WanVideoModel.Open(_temp["official"]), _temp["without"], new ConversionOptions("diffusers", "bf16", long.MaxValue));
        Assert.Null(WanVideoModel.Open(_temp["without"]).PreviewColors);
    }

    public void Dispose() => _temp.Dispose();
}
