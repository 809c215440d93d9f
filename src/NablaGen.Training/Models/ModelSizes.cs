using System.Text.Json;
using System.Text.Json.Nodes;
using NablaGen.Files;
using NablaGen.Generation;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Layouts;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Vae;

namespace NablaGen.Training.Models;

/// <summary>
/// The sizes of a model to train, and what its generations use by default: what a model folder's <c>config.json</c> and
/// <c>nablagen.json</c> say. A folder with these two files is a preset of its own.
/// </summary>
/// <param name="Dit">The transformer's sizes.</param>
/// <param name="Others">The text encoder's and the VAE's sizes, the name and the defaults.</param>
public sealed record ModelSizes(DitConfig Dit, NablaGenJson Others)
{
    /// <summary>The model in the box: at most 24 MB in bfloat16, 256×256, 33 frames, 2,304 tokens.</summary>
    public static ModelSizes Tiny { get; } = Create(
        "nablagen-tiny", dim: 256, heads: 4, layers: 7, ffn: 832, textLength: 64, textDim: 128, vaeDim: 16, zDim: 16, deepest: 4,
        ("width", 256), ("height", 256), ("frames", 33), ("fps", 16), ("steps", 14), ("shift", 5), ("guidance", 3), ("negative_prompt", ""));

    /// <summary>To try the trainer on a CPU: 64×64, 9 frames.</summary>
    public static ModelSizes Toy { get; } = Create(
        "nablagen-toy", dim: 64, heads: 1, layers: 2, ffn: 128, textLength: 32, textDim: 32, vaeDim: 8, zDim: 4, deepest: 3,
        ("width", 64), ("height", 64), ("frames", 9), ("fps", 8), ("steps", 12), ("shift", 3), ("guidance", 2), ("negative_prompt", ""));

    /// <summary>What a generation uses by default.</summary>
    public GenerationDefaults Defaults => GenerationDefaults.Of(Others.Defaults);

    /// <summary>The names that <see cref="Find"/> knows.</summary>
    public static IReadOnlyList<string> Names { get; } = ["tiny", "toy"];

    /// <summary>A preset by its name, or that of a folder with <c>config.json</c> and <c>nablagen.json</c>.</summary>
    /// <exception cref="NablaGenException">There is no such preset, or a file of the folder is bad.</exception>
    public static ModelSizes Find(string name) => name switch
    {
        "tiny" => Tiny,
        "toy" => Toy,
        _ when IsIn(name) => Open(name),
        _ => throw new InvalidRequestException(
            $"preset '{name}' is not known: use {string.Join(", ", Names)} or a folder with {OfficialLayout.ConfigFile} and {NablaGenJson.FileName}"),
    };

    /// <summary>Whether a folder has the two files.</summary>
    public static bool IsIn(string folder) =>
        File.Exists(Path.Combine(folder, OfficialLayout.ConfigFile)) && File.Exists(Path.Combine(folder, NablaGenJson.FileName));

    /// <summary>Reads the two files of a folder.</summary>
    /// <exception cref="NablaGenException">One is missing, or is bad, or the two do not fit.</exception>
    public static ModelSizes Open(string folder)
    {
        var config = Path.Combine(folder, OfficialLayout.ConfigFile);
        using var document = JsonFile.Read(config);
        var sizes = new ModelSizes(
            ModelConfigs.Dit(new JsonFields(document.RootElement, config)), NablaGenJson.Open(Path.Combine(folder, NablaGenJson.FileName)));
        return sizes.Dit.TextDim == sizes.Others.TextEncoder.Dim && sizes.Dit.OutDim == sizes.Others.Vae.ZDim
            ? sizes
            : throw new NablaGenException($"{config}: \"text_dim\" {sizes.Dit.TextDim} and \"out_dim\" {sizes.Dit.OutDim} do not fit the text encoder's "
                + $"\"dim\" {sizes.Others.TextEncoder.Dim} and the VAE's \"z_dim\" {sizes.Others.Vae.ZDim} in {NablaGenJson.FileName}");
    }

    /// <summary>The same for a tokenizer of so many ids.</summary>
    public ModelSizes WithVocabulary(int ids) => this with { Others = Others with { TextEncoder = Others.TextEncoder with { Vocab = ids } } };

    /// <summary>
    /// The same for another task: a text model's sizes become those of <c>i2v</c>, a transformer that is told a first frame as Wan2.2's I2V-A14B is. A
    /// mask and the picture's latents go in beside the noise, and there is no image encoder.
    /// </summary>
    /// <param name="task"><c>t2v</c> or <c>i2v</c>.</param>
    /// <exception cref="InvalidRequestException">The transformer is of another task already, or the VAE's latent frames are not as long as the mask has channels.</exception>
    public ModelSizes ForTask(string task) => (Dit.ModelType, task) switch
    {
        var (from, to) when from == to => this,
        ("t2v", "i2v") when Others.Vae.TemporalStride == ModelConfigs.MaskChannels =>
            this with { Dit = Dit with { ModelType = task, InDim = Dit.OutDim + ModelConfigs.MaskChannels + Dit.OutDim } },
        ("t2v", "i2v") => throw new InvalidRequestException(
            $"a picture's mask needs a VAE whose latent frames are {ModelConfigs.MaskChannels} frames, found {Others.Vae.TemporalStride}"),
        _ => throw new InvalidRequestException($"--task {task}: the transformer's model_type is '{Dit.ModelType}': start from a text model's sizes or weights"),
    };

    /// <summary>Writes the two files into a folder.</summary>
    /// <exception cref="NablaGenException">They can't be written.</exception>
    public void Save(string folder)
    {
        var config = new JsonObject
        {
            ["model_type"] = Dit.ModelType,
            ["patch_size"] = new JsonArray(Dit.PatchSize.Time, Dit.PatchSize.Height, Dit.PatchSize.Width),
            ["text_len"] = Dit.TextLen,
            ["in_dim"] = Dit.InDim,
            ["dim"] = Dit.Dim,
            ["ffn_dim"] = Dit.FfnDim,
            ["freq_dim"] = Dit.FreqDim,
            ["text_dim"] = Dit.TextDim,
            ["out_dim"] = Dit.OutDim,
            ["num_heads"] = Dit.NumHeads,
            ["num_layers"] = Dit.NumLayers,
            ["qk_norm"] = Dit.QkNorm,
            ["cross_attn_norm"] = Dit.CrossAttnNorm,
            ["eps"] = Dit.Eps,
        };
        var text = config.ToJsonString(new JsonSerializerOptions { WriteIndented = true }).ReplaceLineEndings("\n");
        OutputFile.Write(Path.Combine(folder, OfficialLayout.ConfigFile), stream =>
        {
            using var writer = new StreamWriter(stream, leaveOpen: true) { NewLine = "\n" };
            writer.WriteLine(text);
        });
        Others.Save(Path.Combine(folder, NablaGenJson.FileName));
    }

    private static ModelSizes Create(
        string name, int dim, int heads, int layers, int ffn, int textLength, int textDim, int vaeDim, int zDim, int deepest,
        params (string Name, object Value)[] defaults) =>
        new(
            new DitConfig
            {
                Dim = dim,
                NumHeads = heads,
                NumLayers = layers,
                FfnDim = ffn,
                TextLen = textLength,
                TextDim = textDim,
                InDim = zDim,
                OutDim = zDim,
            },
            new NablaGenJson
            {
                Name = name,
                // The vocabulary is the tokenizer's: set when that is known.
                TextEncoder = new TextEncoderConfig
                {
                    Vocab = 512,
                    Dim = textDim,
                    DimAttn = textDim,
                    DimFfn = textDim * 2,
                    NumHeads = textDim / 32,
                    NumLayers = 2,
                },
                Vae = new VaeConfig
                {
                    Dim = vaeDim,
                    ZDim = zDim,
                    DimMult = [1, 2, 3, deepest],
                    NumResBlocks = 1,
                    LatentsMean = new float[zDim],
                    LatentsStd = [.. Enumerable.Repeat(1f, zDim)],
                },
                Defaults = WanDefaults.Values.With(defaults),
            });
}
