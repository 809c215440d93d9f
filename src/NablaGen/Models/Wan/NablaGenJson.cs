using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using NablaGen.Files;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Vae;

namespace NablaGen.Models.Wan;

/// <summary>
/// A model folder's <c>nablagen.json</c>: what the official layout has no place for. The file and every key in it are
/// optional; what it does not say is Wan2.1's. An unknown key is an error, so that a misspelt one is not passed over; those of
/// <c>defaults</c> are the fields of a request, which know their names and values.
/// </summary>
public sealed record NablaGenJson
{
    /// <summary>The file's name in a model folder.</summary>
    public const string FileName = "nablagen.json";

    /// <summary>The model's name (<c>name</c>); null if it has none.</summary>
    public string? Name { get; init; }

    /// <summary>Sizes of the text encoder (<c>text_encoder</c>).</summary>
    public TextEncoderConfig TextEncoder { get; init; } = TextEncoderConfig.UmT5Xxl;

    /// <summary>Sizes of the VAE and the statistics of its latents (<c>vae</c>).</summary>
    public VaeConfig Vae { get; init; } = VaeConfig.Wan21;

    /// <summary>What a generation uses where the user says nothing (<c>defaults</c>).</summary>
    public ModelDefaults Defaults { get; init; } = WanDefaults.Values;

    /// <summary>Reads a file.</summary>
    /// <exception cref="NablaGenException">It can't be read, is not JSON, has an unknown key or a wrong value.</exception>
    public static NablaGenJson Open(string path)
    {
        using var document = JsonFile.Read(path);
        var fields = new JsonFields(document.RootElement, path);
        var json = new NablaGenJson { Name = fields.String("name") };
        if (fields.Object("text_encoder") is { } textEncoder)
        {
            json = json with { TextEncoder = ModelConfigs.TextEncoder(textEncoder) };
            textEncoder.RefuseOthers();
        }

        if (fields.Object("vae") is { } vae)
        {
            json = json with { Vae = ModelConfigs.Vae(vae) };
            vae.RefuseOthers();
        }

        if (fields.Object("defaults") is { } defaults)
        {
            json = json with { Defaults = new ModelDefaults(defaults.TakeAll(), path).Over(WanDefaults.Values) };
        }

        fields.RefuseOthers();
        return json;
    }

    /// <summary>Writes a file with every key, under a temporary name that is renamed at the end.</summary>
    /// <exception cref="NablaGenException">It can't be written.</exception>
    public void Save(string path)
    {
        var json = new JsonObject();
        if (Name is not null)
        {
            json["name"] = Name;
        }

        json["text_encoder"] = new JsonObject
        {
            ["vocab"] = TextEncoder.Vocab,
            ["dim"] = TextEncoder.Dim,
            ["dim_attn"] = TextEncoder.DimAttn,
            ["dim_ffn"] = TextEncoder.DimFfn,
            ["num_heads"] = TextEncoder.NumHeads,
            ["num_layers"] = TextEncoder.NumLayers,
            ["num_buckets"] = TextEncoder.NumBuckets,
            ["shared_pos"] = TextEncoder.SharedPos,
        };
        json["vae"] = new JsonObject
        {
            ["dim"] = Vae.Dim,
            ["z_dim"] = Vae.ZDim,
            ["dim_mult"] = List(Vae.DimMult),
            ["num_res_blocks"] = Vae.NumResBlocks,
            ["temperal_downsample"] = List(Vae.TemporalDownsample),
            ["latents_mean"] = List(Vae.LatentsMean),
            ["latents_std"] = List(Vae.LatentsStd),
        };
        json["defaults"] = new JsonObject(Defaults.Values.Select(value => KeyValuePair.Create(value.Key, JsonSerializer.SerializeToNode(value.Value))));
        // Relaxed: Chinese is written as it is, not as \u escapes.
        var options = new JsonSerializerOptions { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
        OutputFile.Write(path, stream =>
        {
            using var writer = new StreamWriter(stream, leaveOpen: true) { NewLine = "\n" };
            writer.WriteLine(json.ToJsonString(options).ReplaceLineEndings("\n"));
        });
    }

    private static JsonArray List<T>(IEnumerable<T> values) => new([.. values.Select(value => (JsonNode?)JsonValue.Create(value))]);
}
