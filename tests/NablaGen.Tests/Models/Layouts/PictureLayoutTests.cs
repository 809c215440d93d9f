using NablaGen.Jobs.Benchmarks;
using NablaGen.Models;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Image;
using NablaGen.Models.Wan.Layouts;
using NablaGen.Models.Wan.Layouts.Keys;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tests.Weights;
using NablaGen.Weights;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models.Layouts;

/// <summary>Models of pictures and those of two experts, in each layout: the sizes and every weight are the official folder's, to the bit.</summary>
public sealed class PictureLayoutTests : IDisposable
{
    private readonly TempFolder _temp = new();
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string, string> Cases()
    {
        var data = new TheoryData<string, string>();
        foreach (var kind in new[] { "i2v", "flf2v", "ti2v", "experts" })
        {
            data.Add(kind, "Diffusers");
            data.Add(kind, "ComfyUI");
            data.Add(kind, "GGUF");
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Each_layout_is_the_same_model(string kind, string layout)
    {
        var expected = Official(kind);
        var folder = Directory.CreateDirectory(_temp["other"]).FullName;
        var path = folder;
        switch (layout)
        {
            case "Diffusers":
                LayoutFolders.Diffusers(_temp["official"], folder);
                break;
            case "ComfyUI":
                path = LayoutFolders.Comfy(_temp["official"], folder);
                break;
            default:
                path = LayoutFolders.Gguf(_temp["official"], folder);
                if (expected.DitConfig.ImageDim > 0)
                {
                    File.Copy(Path.Combine(_temp["official"], GoldenModelFolder.ImageEncoderFile), Path.Combine(folder, "image.safetensors"));
                }

                break;
        }

        // What shapes don't tell: the width of CLIP's heads, which is another in the goldens.
        Said(expected, Directory.Exists(path) ? path : Path.GetDirectoryName(path)!);
        var model = WanVideoModel.Open(path);
        model.Check();
        Assert.Equal(expected.DitConfig, model.DitConfig);
        Assert.Equal(expected.Pictures, model.Pictures);
        Assert.Equal(expected.Transformer, model.Transformer);
        Assert.Equal(expected.ImageEncoderConfig, model.ImageEncoderConfig);
        Assert.Equal(expected.WeightPaths.Count, model.WeightPaths.Count);
        foreach (var ((one, other), piece) in expected.WeightPaths.Zip(model.WeightPaths).Zip(Pieces(kind)))
        {
            AssertSame(one, other, piece, expected.ImageEncoderConfig);
        }
    }

    [Theory]
    [InlineData("t2v")]
    [InlineData("i2v")]
    [InlineData("flf2v")]
    [InlineData("ti2v")]
    [InlineData("experts")]
    public void A_model_converted_there_and_back_is_the_same(string kind)
    {
        var expected = Official(kind);
        ModelConverter.Convert(expected, _temp["there"], new ConversionOptions("diffusers", "bf16", ShardBytes: 60_000), cancellation: TestContext.Current.CancellationToken);
        var there = WanVideoModel.Open(_temp["there"]);
        Assert.True(File.Exists(Path.Combine(_temp["there"], "transformer", "diffusion_pytorch_model.safetensors.index.json")));
        ModelConverter.Convert(there, _temp["back"], new ConversionOptions("official", "bf16", ShardBytes: 1 << 30), cancellation: TestContext.Current.CancellationToken);
        foreach (var model in new[] { there, WanVideoModel.Open(_temp["back"]) })
        {
            model.Check();
            Assert.Equal(expected.DitConfig, model.DitConfig);
            Assert.Equal((expected.Name, expected.Transformer, expected.ImageEncoderConfig, expected.Pictures, expected.Defaults), (model.Name, model.Transformer, model.ImageEncoderConfig, model.Pictures, model.Defaults));
            foreach (var ((one, other), piece) in expected.WeightPaths.Zip(model.WeightPaths).Zip(Pieces(kind)))
            {
                AssertSame(one, other, piece, expected.ImageEncoderConfig);
            }
        }

        // Every file of the way back has the name that the authors give it.
        Assert.Equal(
            Names(_temp["official"]).Where(name => !name.EndsWith(".json", StringComparison.Ordinal)), Names(_temp["back"]).Where(name => !name.EndsWith(".json", StringComparison.Ordinal)));
        static IEnumerable<string> Names(string folder) => Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(folder, file)).Order(StringComparer.Ordinal);
    }

    [Fact]
    public void A_conversion_that_fails_leaves_nothing()
    {
        var model = Official("t2v");
        using var stop = new CancellationTokenSource();
        Assert.ThrowsAny<OperationCanceledException>(() => ModelConverter.Convert(model, _temp["new"], new ConversionOptions("official", "bf16", 1 << 30), _ => stop.Cancel(), stop.Token));
        RawFile.Fault(() => ModelConverter.Convert(model, _temp["new"], new ConversionOptions("official", "bf16", 1 << 30), bytes => throw new NablaGenException($"no room for {bytes}")), "no room for");
        RawFile.Fault(() => ModelConverter.Convert(model, _temp["new"], new ConversionOptions("diffusers", "fp8-scaled", 1 << 30)), "has no fp8-scaled");
        RawFile.Fault(() => ModelConverter.Convert(model, _temp["official"], new ConversionOptions("official", "bf16", 1 << 30)), "is there already");
        Assert.Equal(["official"], Directory.EnumerateFileSystemEntries(_temp.Path).Select(Path.GetFileName));
    }

    [Fact]
    public void An_experts_partner_is_found_from_either_and_looked_for_in_vain()
    {
        Official("experts");
        var low = LayoutFolders.Comfy(_temp["official"], _temp["models"]);
        var high = Path.Combine(_temp["models"], "diffusion_models", "wan_HIGH_fp16.safetensors");
        Said(WanVideoModel.Open(_temp["official"]), Path.GetDirectoryName(low)!);
        var (one, other) = (WanVideoModel.Open(high), WanVideoModel.Open(low));
        Assert.Equal(one.WeightPaths, other.WeightPaths);
        Assert.Equal(low, one.WeightPaths[0]);
        Assert.Equal(one.ComputeHash(), other.ComputeHash());
        Assert.Equal($"low-noise expert {low}", one.Choices[0]);
        Assert.StartsWith("high-noise expert ", other.Choices[0], StringComparison.Ordinal);

        // A folder of these two alone is a model, too.
        Assert.Equal(one.WeightPaths, WanVideoModel.Open(_temp["models"]).WeightPaths);

        // "LOW" alone may mean anything; "low_noise" does not.
        File.Delete(high);
        RawFile.Fault(() => WanVideoModel.Open(low), "\"boundary\" has no effect");
        var sure = Path.Combine(_temp["models"], "diffusion_models", "wan_low_noise.safetensors");
        File.Move(low, sure);
        RawFile.Fault(() => WanVideoModel.Open(sure), sure, "is one of two experts by its name", "wan_high_noise.safetensors");
    }

    [Theory]
    [InlineData("a/wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors", "a/wan2.2_t2v_low_noise_14B_fp8_scaled.safetensors")]
    [InlineData("HighNoise/Wan2.2-T2V-A14B-HighNoise-Q4_K_M.gguf", "LowNoise/Wan2.2-T2V-A14B-LowNoise-Q4_K_M.gguf")]
    [InlineData("a/Wan2_2-T2V-A14B_HIGH_fp8_KJ.safetensors", "a/Wan2_2-T2V-A14B-LOW_fp8_KJ.safetensors")]
    [InlineData("high_noise_model/model.safetensors", "low_noise_model/model.safetensors")]
    [InlineData("a/wan2.2-high.pth", "a/wan2.2-low.pth")]
    public void The_fields_names_are_known(string high, string low)
    {
        foreach (var file in new[] { high, low })
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_temp[file])!);
            File.WriteAllText(_temp[file], "");
        }

        Assert.Equal((_temp[high], _temp[low]), ExpertPair.Find(_temp[high]) is var (a, b) ? (Path.GetFullPath(a), Path.GetFullPath(b)) : default);
        Assert.Equal((_temp[high], _temp[low]), ExpertPair.Find(_temp[low]) is var (c, d) ? (Path.GetFullPath(c), Path.GetFullPath(d)) : default);
    }

    [Theory]
    [InlineData("follow_noise.safetensors")]
    [InlineData("highlights.safetensors")]
    [InlineData("wan_low_vram.safetensors")]
    [InlineData("wan2.1_t2v_14B.safetensors")]
    public void Other_names_are_no_experts(string name) => Assert.Null(ExpertPair.Find(_temp[name]));

    [Fact]
    public void An_image_encoder_is_named_and_must_be_of_use()
    {
        var expected = Official("i2v");
        var image = _temp["clip.safetensors"];
        File.Move(Path.Combine(_temp["official"], GoldenModelFolder.ImageEncoderFile), image);
        RawFile.Fault(() => WanVideoModel.Open(_temp["official"]), "lacks the image encoder", "--image-encoder");
        var model = WanVideoModel.Open(_temp["official"], new ModelPieces(ImageEncoder: image));
        model.Check();
        Assert.Equal(image, model.WeightPaths[^1]);
        Assert.Equal(expected.ImageEncoderConfig, model.ImageEncoderConfig);
        RawFile.Fault(() => WanVideoModel.Open(_temp["official"], new ModelPieces(ImageEncoder: model.VaePath)), "is a VAE by its keys, expected an image encoder");
        RawFile.Fault(() => WanVideoModel.Open(image), "is an image encoder by its keys", "--image-encoder");
        GoldenModelFolder.Assemble(_temp["text"]);
        RawFile.Fault(() => WanVideoModel.Open(_temp["text"], new ModelPieces(ImageEncoder: image)), "--image-encoder has no effect");
        var found = ModelInspector.InspectFile(image);
        Assert.Equal(("image encoder", "Wan 2.1 (CLIP)"), (found.Kind, found.Family));
        Assert.Contains("its width of 96 is not made of heads", found.Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("wan2.1-t2v-1.3b")]
    [InlineData("wan2.1-i2v-14b")]
    [InlineData("wan2.1-flf2v-14b")]
    [InlineData("wan2.2-i2v-a14b")]
    [InlineData("wan2.2-ti2v-5b")]
    public void A_transformers_sizes_are_in_its_shapes(string name)
    {
        using var source = Shapes(name);
        var expected = name switch
        {
            "wan2.1-t2v-1.3b" => DitConfig.Wan1_3B,
            "wan2.1-i2v-14b" => DitConfig.WanI2V14B,
            "wan2.1-flf2v-14b" => DitConfig.WanI2V14B with { ModelType = "flf2v", ImageTokens = 514, HasImagePositions = true },
            "wan2.2-i2v-a14b" => DitConfig.WanI2VA14B,
            _ => DitConfig.WanTI2V5B,
        };
        Assert.Equal(expected, DitVariant.Detect(ShapeSizes.Dit(source), source, 257));
    }

    [Theory]
    [InlineData("wan2.1-vae")]
    [InlineData("wan2.2-vae")]
    public void A_vaes_sizes_are_in_its_shapes(string name)
    {
        using var source = Shapes(name);
        var expected = name == "wan2.1-vae" ? VaeConfig.Wan21 : VaeConfig.Wan22;
        var found = ShapeSizes.TryVae(source)!;
        Assert.Equal((expected.Dim, expected.DecoderDim, expected.ZDim, expected.NumResBlocks), (found.Dim, found.DecoderDim, found.ZDim, found.NumResBlocks));
        Assert.Equal(expected.DimMult, found.DimMult);
        Assert.Equal(expected.TemporalDownsample, found.TemporalDownsample);
        Assert.Equal(expected.LatentsMean, found.LatentsMean);
    }

    [Fact]
    public void An_image_encoders_sizes_are_in_its_shapes()
    {
        // The last of its layers is not among the keys.
        using var source = Shapes("clip-vit-h-14");
        Assert.Equal(ImageEncoderConfig.VitH14 with { NumLayers = 31 }, ShapeSizes.TryImageEncoder(source));
    }

    public void Dispose()
    {
        _scope.Dispose();
        _temp.Dispose();
    }

    private static RandomTensorSource Shapes(string name)
    {
        using var stream = typeof(CheckpointKeyTests).Assembly.GetManifestResourceStream($"Keys/{name}.txt")!;
        var lines = new StreamReader(stream).ReadToEnd().TrimEnd().Split('\n').Select(line => line.Split(' ', 2));
        return RandomTensorSource.Normal(name, lines.ToDictionary(line => line[0], line => Array.ConvertAll(line[1].Trim('[', ']').Split(", "), long.Parse)));
    }

    private static WanPiece[] Pieces(string kind) =>
        [.. kind == "experts" ? [WanPiece.Transformer] : Array.Empty<WanPiece>(), WanPiece.Transformer, WanPiece.TextEncoder, WanPiece.Vae, WanPiece.ImageEncoder];

    private WanVideoModel Official(string kind)
    {
        var (transformer, vae, clip) = kind switch
        {
            "t2v" => ("dit", "vae", null),
            "ti2v" => ("family/ti2v", "family/vae22", null),
            "experts" => ("family/experts-pipeline", "vae", null),
            _ => ("family/" + kind, "family/image-vae", "family/clip"),
        };
        GoldenModelFolder.Assemble(_temp["official"], transformer, vae, clip);
        return WanVideoModel.Open(_temp["official"]);
    }

    private static void Said(WanVideoModel model, string folder) =>
        new NablaGenJson { ImageEncoder = model.ImageEncoderConfig, Boundary = model.Transformer.Boundary, Vae = model.VaeConfig }.Save(Path.Combine(folder, NablaGenJson.FileName));

    private static void AssertSame(string one, string other, WanPiece piece, ImageEncoderConfig config)
    {
        using var scope = NewDisposeScope();
        using var expected = Open(one);
        using var found = Open(other);
        Assert.Equal(expected.Entries.Keys.Order(StringComparer.Ordinal), found.Entries.Keys.Order(StringComparer.Ordinal));
        foreach (var key in expected.Entries.Keys)
        {
            Assert.True(expected.Read(key).to_type(ScalarType.Float32).Equals(found.Read(key).to_type(ScalarType.Float32)), $"{other}: {key}");
        }

        ITensorSource Open(string path) => piece == WanPiece.ImageEncoder ? ImageEncoderKeys.Of(PieceFile.Open(path, piece), config) : PieceFile.Open(path, piece);
    }
}
