using NablaGen.Models.Wan;
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

    public static void Assemble(string path)
    {
        using var scope = NewDisposeScope();
        using var dit = Golden.Open("dit");
        using var text = Golden.Open("t5");
        using var vae = Golden.Open("vae");
        Directory.CreateDirectory(Path.Combine(path, "google", "umt5-xxl"));
        var tokenizer = Path.Combine(path, "google", "umt5-xxl", "spiece.model");
        File.Copy(Directory.GetFiles(Path.Combine(GoldenFolder.Path, "tokenizer"), "*.model").Single(), tokenizer, overwrite: true);
        File.SetAttributes(tokenizer, FileAttributes.Normal);

        File.WriteAllText(Path.Combine(path, "config.json"), dit.Metadata("config"));
        SafetensorsWriter.Write(Path.Combine(path, DitFile), Weights(dit));
        SafetensorsWriter.Write(Path.Combine(path, VaeFile), Weights(vae));

        var tokens = UmT5Tokenizer.Load(tokenizer).VocabularySize;
        SafetensorsWriter.Write(Path.Combine(path, TextEncoderFile), Weights(text).Select(weight => weight.Key == "token_embedding.weight"
            ? KeyValuePair.Create(weight.Key, weight.Value.repeat((tokens + weight.Value.shape[0] - 1) / weight.Value.shape[0], 1).narrow(0, 0, tokens).contiguous())
            : weight));

        new NablaGenJson
        {
            Name = "golden",
            TextEncoder = ModelConfigs.ParseTextEncoder(text.Metadata("config"), "t5") with { Vocab = tokens },
            Vae = ModelConfigs.ParseVae(vae.Metadata("config"), "vae"),
            Defaults = WanDefaults.Values.With(("width", 64), ("height", 64), ("frames", 5), ("fps", 8), ("steps", 4), ("negative_prompt", "blurry")),
        }.Save(Path.Combine(path, NablaGenJson.FileName));
    }

    private static IEnumerable<KeyValuePair<string, Tensor>> Weights(Golden golden) => golden.Names
        .Where(name => name.StartsWith("weights."))
        .Select(name => KeyValuePair.Create(name["weights.".Length..], golden[name]));
}
