using NablaGen.Generation;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tests.Weights;

namespace NablaGen.Tests.Models;

public sealed class NablaGenJsonTests : IDisposable
{
    private readonly RawFile _raw = new();

    [Fact]
    public void What_is_saved_comes_back()
    {
        var saved = new NablaGenJson
        {
            Name = "tiny — 小",
            TextEncoder = new TextEncoderConfig { Vocab = 384, Dim = 64, DimAttn = 32, DimFfn = 160, NumHeads = 4, NumLayers = 3, NumBuckets = 16, SharedPos = true },
            Vae = new VaeConfig { Dim = 8, ZDim = 2, DimMult = [1, 2], NumResBlocks = 1, TemporalDownsample = [true], LatentsMean = [0.1f, -2], LatentsStd = [1, 3.3f] },
            Defaults = WanDefaults.Values.With(
                ("width", 256), ("height", 128), ("frames", 17), ("fps", 12), ("steps", 20), ("solver", "dpm++"), ("shift", 3.5), ("guidance", 1),
                ("attention", "nabla-0.7"), ("negative_prompt", "“quotes”, 中")),
        };
        var path = _raw.At("sub/nablagen.json");
        saved.Save(path);
        Assert.Contains("“quotes”, 中", File.ReadAllText(path), StringComparison.Ordinal);
        var read = NablaGenJson.Open(path);
        Assert.Equal(saved.Name, read.Name);
        Assert.Equal(saved.TextEncoder, read.TextEncoder);
        Assert.Equal(saved.Defaults, read.Defaults);
        Assert.Equivalent(saved.Vae, read.Vae, strict: true);
    }

    [Fact]
    public void An_empty_object_is_wan()
    {
        var read = NablaGenJson.Open(_raw.Write("nablagen.json", "{}"));
        Assert.Equal(new NablaGenJson(), read);
    }

    [Theory]
    [InlineData("{", "not JSON")]
    [InlineData("[]", "expected an object", "found a list")]
    [InlineData("""{"nmae":"x"}""", "unknown key \"nmae\"", "expected one of", "name")]
    [InlineData("""{"defaults":{"widht":3}}""", "unknown key \"defaults.widht\"", "width")]
    [InlineData("""{"vae":{"zdim":3}}""", "unknown key \"vae.zdim\"")]
    [InlineData("""{"text_encoder":{"layers":3}}""", "unknown key \"text_encoder.layers\"")]
    [InlineData("""{"defaults":[]}""", "\"defaults\"", "expected an object", "found a list")]
    [InlineData("""{"defaults":{"frames":16}}""", "\"defaults.frames\"", "expected 4n + 1", "found 16")]
    [InlineData("""{"defaults":{"shift":-1}}""", "\"defaults.shift\"", "found -1")]
    [InlineData("""{"defaults":{"steps":2.5}}""", "\"defaults.steps\"", "found 2.5")]
    [InlineData("""{"name":"a","name":"b"}""", "\"name\"", "twice")]
    public void A_fault_is_named(string json, params string[] parts)
    {
        var path = _raw.Write("nablagen.json", json);
        RawFile.Fault(() => GenerationDefaults.Of(NablaGenJson.Open(path).Defaults), [path, .. parts]);
    }

    public void Dispose() => _raw.Dispose();
}
