using NablaGen.Checkpoints;
using NablaGen.Models;
using NablaGen.Models.Dit;
using NablaGen.Models.TextEncoder;
using NablaGen.Models.Vae;
using static TorchSharp.torch;

namespace NablaGen.Training.Models;

/// <summary>The weights of a model folder, as they are published: bfloat16.</summary>
internal static class ModelFiles
{
    public static string Vae(string folder) => Path.Combine(folder, ModelFolder.VaeFile + ".safetensors");

    public static string Tokenizer(string folder) => Path.Combine(folder, ModelFolder.TokenizerFile);

    public static void SaveVae(string folder, WanVae vae) => Save(Vae(folder), vae);

    public static void SaveDit(string folder, WanModel model) => Save(Path.Combine(folder, ModelFolder.DitFile), model);

    public static void SaveTextEncoder(string folder, T5Encoder encoder) =>
        Save(Path.Combine(folder, ModelFolder.TextEncoderFile + ".safetensors"), encoder);

    /// <summary>A folder's VAE, which encodes in a type.</summary>
    /// <exception cref="NablaGenException">There is none yet, or it is bad.</exception>
    public static WanVae LoadVae(string folder, VaeConfig config, ModuleOptions options)
    {
        var path = Vae(folder);
        if (!File.Exists(path))
        {
            throw new NablaGenException($"{path}: no such file: train the VAE first (nablagen train vae --output {folder})");
        }

        using var source = SafetensorsFile.Open(path);
        var vae = new WanVae(config, options);
        try
        {
            CheckpointLoader.Load(source, vae);
            return vae;
        }
        catch
        {
            vae.Dispose();
            throw;
        }
    }

    private static void Save(string path, nn.Module module)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        SafetensorsWriter.Write(path, module.named_parameters().Select(item => KeyValuePair.Create(item.name, item.parameter.to_type(ScalarType.BFloat16))),
            new Dictionary<string, string> { ["format"] = "pt" });
    }
}
