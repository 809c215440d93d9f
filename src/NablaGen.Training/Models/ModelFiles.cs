using NablaGen.Files;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Layouts;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Text.Tokenizer;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Training.Models;

/// <summary>The weights of a model folder, as they are published: bfloat16.</summary>
public static class ModelFiles
{
    /// <summary>The VAE's file in a folder.</summary>
    public static string Vae(string folder) => Path.Combine(folder, OfficialLayout.VaeFile);

    /// <summary>The transformer's file in a folder.</summary>
    public static string Dit(string folder) => Path.Combine(folder, OfficialLayout.TransformerFile);

    /// <summary>The tokenizer's file in a folder.</summary>
    public static string Tokenizer(string folder) => Path.Combine(folder, OfficialLayout.TokenizerFile);

    /// <summary>Writes the VAE.</summary>
    public static void SaveVae(string folder, WanVae vae) => Save(Vae(folder), vae);

    /// <summary>Writes the transformer.</summary>
    public static void SaveDit(string folder, WanModel model) => Save(Dit(folder), model);

    /// <summary>Writes the text encoder.</summary>
    public static void SaveTextEncoder(string folder, T5Encoder encoder) =>
        Save(Path.Combine(folder, OfficialLayout.TextEncoderFile), encoder);

    /// <summary>A folder's VAE, which encodes in a type.</summary>
    /// <exception cref="NablaGenException">There is none yet, or it is bad.</exception>
    public static WanVae LoadVae(string folder, VaeConfig config, ModuleOptions options)
    {
        var vae = new WanVae(config, options);
        try
        {
            ReadVae(folder, vae);
            return vae;
        }
        catch
        {
            vae.Dispose();
            throw;
        }
    }

    /// <summary>Gives a folder another's VAE unless it has one.</summary>
    /// <exception cref="NablaGenException">There is none.</exception>
    public static void CopyVae(string from, string folder) => Copy(Vae(from), Vae(folder));

    /// <summary>Gives a folder another's transformer unless it has one.</summary>
    /// <exception cref="NablaGenException">There is none.</exception>
    public static void CopyDit(string from, string folder) => Copy(Dit(from), Dit(folder));

    /// <summary>Reads a folder's weights into a VAE.</summary>
    /// <exception cref="NablaGenException">There are none yet, or they are bad.</exception>
    public static void ReadVae(string folder, WanVae vae)
    {
        var path = Vae(folder);
        if (!File.Exists(path))
        {
            throw new NablaGenException($"{path}: no such file: train the VAE first (nablagen train vae --output {folder})");
        }

        Read(path, vae);
    }

    /// <summary>Reads a folder's weights into a transformer.</summary>
    /// <exception cref="NablaGenException">There are none, or they are bad.</exception>
    public static void ReadDit(string folder, WanModel model) => Read(Dit(folder), model);

    /// <summary>Reads a folder's weights into a text encoder.</summary>
    /// <exception cref="NablaGenException">There are none, or they are bad.</exception>
    public static void ReadTextEncoder(string folder, T5Encoder encoder) =>
        Read(Path.Combine(folder, OfficialLayout.TextEncoderFile), encoder);

    /// <summary>Puts a tokenizer into a folder unless it has one, and reads it.</summary>
    /// <param name="folder">The model folder.</param>
    /// <param name="file">The SentencePiece model; null where there is none but the folder's own.</param>
    /// <exception cref="NablaGenException">There is none, it is bad, or the folder has another.</exception>
    public static UmT5Tokenizer PlaceTokenizer(string folder, string? file)
    {
        var own = Tokenizer(folder);
        if (!File.Exists(own))
        {
            var from = file ?? throw new InvalidRequestException($"{own} is not there: name a SentencePiece model with --tokenizer");
            var read = UmT5Tokenizer.Load(from);
            OutputFile.Write(own, stream => stream.Write(File.ReadAllBytes(from)));
            return read;
        }

        return UmT5Tokenizer.Load(own);
    }

    private static void Copy(string from, string path)
    {
        if (File.Exists(path))
        {
            return;
        }

        using var source = File.Exists(from) ? File.OpenRead(from) : throw new NablaGenException($"{from}: no such file");
        OutputFile.Write(path, source.CopyTo);
    }

    private static void Read(string path, nn.Module module)
    {
        using var source = SafetensorsFile.Open(path);
        CheckpointLoader.Load(source, module);
    }

    private static void Save(string path, nn.Module module)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        SafetensorsWriter.Write(path, module.named_parameters().Select(item => KeyValuePair.Create(item.name, item.parameter.to_type(ScalarType.BFloat16))),
            new Dictionary<string, string> { ["format"] = "pt" });
    }
}
