using System.Globalization;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Image;
using NablaGen.Models.Wan.Text.Tokenizer;
using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Tests;

/// <summary>
/// A model folder in the official layout, made of the goldens' weights and the mini tokenizer. The golden encoder knows fewer tokens
/// than that tokenizer gives, so its embedding is repeated until it has a row for each.
/// </summary>
internal static class GoldenModelFolder
{
    public const string DitFile = "diffusion_pytorch_model.safetensors";
    public const string TextEncoderFile = "models_t5_umt5-xxl-enc-bf16.safetensors";
    public const string VaeFile = "Wan2.1_VAE.safetensors";
    public const string ImageEncoderFile = "models_clip_open-clip-xlm-roberta-large-vit-huge-14.safetensors";

    /// <summary>Assembles a folder.</summary>
    /// <param name="path">The folder.</param>
    /// <param name="transformer">The golden of its transformer, or of its two experts.</param>
    /// <param name="autoencoder">The golden of its VAE.</param>
    /// <param name="imageEncoder">The golden of its image encoder; null for none.</param>
    public static void Assemble(string path, string transformer = "dit", string autoencoder = "vae", string? imageEncoder = null)
    {
        using var scope = NewDisposeScope();
        using var dit = Golden.Open(transformer);
        using var text = Golden.Open("t5");
        using var vae = Golden.Open(autoencoder);
        Directory.CreateDirectory(Path.Combine(path, "google", "umt5-xxl"));
        var tokenizer = Path.Combine(path, "google", "umt5-xxl", "spiece.model");
        File.Copy(Directory.GetFiles(Path.Combine(GoldenFolder.Path, "tokenizer"), "*.model").Single(), tokenizer, overwrite: true);
        File.SetAttributes(tokenizer, FileAttributes.Normal);

        var vaeConfig = vae.VaeConfig();
        var hasExperts = dit.Names.Any(name => name.StartsWith("weights.high."));
        foreach (var (folder, prefix) in hasExperts ? [("high_noise_model", "high."), ("low_noise_model", "low.")] : new[] { ("", "") })
        {
            Directory.CreateDirectory(Path.Combine(path, folder));
            File.WriteAllText(Path.Combine(path, folder, "config.json"), dit.Metadata("config"));
            SafetensorsWriter.Write(Path.Combine(path, folder, DitFile), Weights(dit, prefix));
        }

        SafetensorsWriter.Write(Path.Combine(path, vaeConfig.HasLevelShortcuts ? "Wan2.2_VAE.safetensors" : VaeFile), Weights(vae));
        using var clip = imageEncoder is null ? null : Golden.Open(imageEncoder);
        if (clip is not null)
        {
            SafetensorsWriter.Write(Path.Combine(path, ImageEncoderFile), Weights(clip).Select(weight => KeyValuePair.Create("visual." + weight.Key, weight.Value)));
        }

        var tokens = UmT5Tokenizer.Load(tokenizer).VocabularySize;
        SafetensorsWriter.Write(Path.Combine(path, TextEncoderFile), Weights(text).Select(weight => weight.Key == "token_embedding.weight"
            ? KeyValuePair.Create(weight.Key, weight.Value.repeat((tokens + weight.Value.shape[0] - 1) / weight.Value.shape[0], 1).narrow(0, 0, tokens).contiguous())
            : weight));

        new NablaGenJson
        {
            Name = "golden",
            TextEncoder = ModelConfigs.ParseTextEncoder(text.Metadata("config"), "t5") with { Vocab = tokens },
            Vae = vaeConfig,
            ImageEncoder = clip is null ? ImageEncoderConfig.VitH14 : ModelConfigs.ParseImageEncoder(clip.Metadata("config"), "clip"),
            Boundary = hasExperts ? double.Parse(dit.Metadata("boundary"), CultureInfo.InvariantCulture) : null,
            Defaults = (hasExperts ? WanDefaults.Values.With(("guidance_high", 4)) : WanDefaults.Values).With(("width", 64), ("height", 64), ("frames", 5), ("fps", 8), ("steps", 4), ("negative_prompt", "blurry")),
        }.Save(Path.Combine(path, NablaGenJson.FileName));
    }

    private static IEnumerable<KeyValuePair<string, Tensor>> Weights(Golden golden, string prefix = "") => golden.Names
        .Where(name => name.StartsWith("weights." + prefix))
        .Select(name => KeyValuePair.Create(name[("weights." + prefix).Length..], golden[name]));
}
