using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using NablaGen.Files;
using NablaGen.Models.Wan.Image;
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

    /// <summary>Sizes of the image encoder (<c>image_encoder</c>).</summary>
    public ImageEncoderConfig ImageEncoder { get; init; } = ImageEncoderConfig.VitH14;

    /// <summary>The share of the timesteps from which on the high-noise expert works (<c>boundary</c>); null for Wan2.2's.</summary>
    public double? Boundary { get; init; }

    /// <summary>What a generation uses where the user says nothing (<c>defaults</c>).</summary>
    public ModelDefaults Defaults { get; init; } = WanDefaults.Values;

    /// <summary>What the model was trained for (<c>trained_for</c>); null where nothing is said.</summary>
    public TrainedFor? TrainedFor { get; init; }

    /// <summary>The colours of previews (<c>preview</c>); null where nothing is said.</summary>
    public LatentColorMap? Preview { get; init; }

    // What the file itself says under defaults; no part of what the record is.
    private ModelDefaults? SaidDefaults { get; init; }

    /// <summary>The defaults of a model: what its file says over those of its family.</summary>
    /// <param name="json">The file; null for none.</param>
    /// <param name="family">The family's.</param>
    internal static ModelDefaults DefaultsOf(NablaGenJson? json, ModelDefaults family) => json?.SaidDefaults is { } said
        // A number of steps takes the place of a list of timesteps.
        ? said.Over(said.Find("steps") is null ? family : family.Without("timesteps"))
        : family;

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
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

        if (fields.Object("image_encoder") is { } imageEncoder)
        {
            json = json with { ImageEncoder = ModelConfigs.ImageEncoder(imageEncoder) };
            imageEncoder.RefuseOthers();
        }

        var boundary = fields.Double("boundary", double.NaN);
        if (!double.IsNaN(boundary))
        {
            json = boundary is > 0 and < 1 ? json with { Boundary = boundary } : throw fields.Error("boundary", "a number above 0 and below 1", $"{boundary}");
        }

        if (fields.Object("trained_for") is { } trained)
        {
            json = json with { TrainedFor = TrainedForJson.Read(trained) };
        }

        if (fields.Object("preview") is { } preview)
        {
            json = json with { Preview = LatentColorMapJson.Read(preview, json.Vae.ZDim) };
        }

        if (fields.Object("defaults") is { } defaults)
        {
            var said = new ModelDefaults(defaults.TakeAll(), path);
            json = json with { Defaults = said.Over(WanDefaults.Values), SaidDefaults = said };
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
        if (Vae.DecoderDim is { } decoderDim)
        {
            json["vae"]!["dec_dim"] = decoderDim;
        }

        if (ImageEncoder != ImageEncoderConfig.VitH14)
        {
            json["image_encoder"] = new JsonObject
            {
                ["image_size"] = ImageEncoder.ImageSize,
                ["patch_size"] = ImageEncoder.PatchSize,
                ["dim"] = ImageEncoder.Dim,
                ["mlp_ratio"] = ImageEncoder.MlpRatio,
                ["num_heads"] = ImageEncoder.NumHeads,
                ["num_layers"] = ImageEncoder.NumLayers,
            };
        }

        if (Boundary is { } boundary)
        {
            json["boundary"] = boundary;
        }

        if (TrainedFor is not null)
        {
            json["trained_for"] = TrainedForJson.Write(TrainedFor);
        }

        if (Preview is not null)
        {
            json["preview"] = LatentColorMapJson.Write(Preview);
        }

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
