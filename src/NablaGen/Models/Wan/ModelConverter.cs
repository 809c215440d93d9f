using NablaGen.Files;
using NablaGen.Models.Wan.Converting;
using NablaGen.Weights;
using NablaGen.Weights.Lora;

namespace NablaGen.Models.Wan;

/// <summary>Writes a whole model anew, as a folder in another layout or number format. A tensor is in memory at a time.</summary>
public static class ModelConverter
{
    private static readonly IFolderWriter[] Writers = [new OfficialFolder(), new DiffusersFolder()];

    // What names files beside the old folder.
    private static readonly string[] Paths = ["lora", ModelPieces.TextEncoderKey, ModelPieces.VaeKey, ModelPieces.TokenizerKey, ModelPieces.ImageEncoderKey];

    /// <summary>The layouts that can be written.</summary>
    public static IReadOnlyList<string> Layouts { get; } = [.. Writers.Select(writer => writer.Name)];

    /// <summary>Converts a model; every tensor is read back and compared, and the new folder is opened as a model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="target">The new folder, which must not be there yet.</param>
    /// <param name="options">What is written.</param>
    /// <param name="checkSpace">Is told how many bytes will be written, before any is; null for no check.</param>
    /// <param name="cancellation">Stops the work; nothing is left under the final name.</param>
    /// <returns>A line for each LoRA that has keys for parts that this model does not have.</returns>
    /// <exception cref="NablaGenException">The model is incomplete or can't be read, the layout does not take it so, or the folder is there or can't be written.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static IReadOnlyList<string> Convert(WanVideoModel model, string target, ConversionOptions options, Action<long>? checkSpace = null, CancellationToken cancellation = default)
    {
        var writer = Writers.Single(one => one.Name == options.Layout);
        if (!writer.Formats.Contains(options.Format))
        {
            throw new NablaGenException($"the layout {writer.Name} has no {options.Format}: expected one of {string.Join(", ", writer.Formats)}.");
        }

        if (Path.Exists(target))
        {
            throw new NablaGenException($"{target}: is there already: name another folder.");
        }

        if (model.Defaults.Find("lora") is not null && options.Loras.Count == 0)
        {
            throw new NablaGenException($"{model.Path}: its nablagen.json names LoRAs: name them with --lora to merge them, or take them out of it.");
        }

        model.Check();
        var notes = model.CheckLoras(options.Loras);
        var merged = (WanVideoModel)model.WithLoras(options.Loras);
        var parts = writer.Parts(merged, options.Format, cancellation).ToList();
        checkSpace?.Invoke(parts.Sum(part =>
        {
            using var source = part.Open();
            return part.Tensors(source).Sum(tensor => tensor.ByteCount);
        }));
        var partial = OutputFile.Aside(Path.GetFullPath(target));
        try
        {
            foreach (var part in parts)
            {
                using var source = part.Open();
                var file = Path.Combine(partial, part.File.Replace('/', Path.DirectorySeparatorChar));
                Directory.CreateDirectory(Path.GetDirectoryName(file)!);
                SafetensorsShards.Write(file, [.. part.Tensors(source)], part.HasShards ? options.ShardBytes : long.MaxValue);
            }

            writer.WriteOthers(merged, partial);
            var json = new NablaGenJson
            {
                Name = model.SaidName,
                TextEncoder = model.TextEncoderConfig,
                Vae = model.VaeConfig,
                ImageEncoder = model.ImageEncoderConfig,
                Boundary = model.Transformer.Boundary,
                TrainedFor = model.TrainedFor,
                // What the old folder's name and files told stays said.
                Defaults = Paths.Aggregate(model.Defaults, (defaults, path) => defaults.Without(path)),
            };
            var path = Path.Combine(partial, NablaGenJson.FileName);
            json.Save(path);
            var written = WanVideoModel.Open(partial);
            written.Check();
            if (model.PreviewColors is { } colors && colors.Vae == model.ComputeVaeHash())
            {
                // The same VAE in another file, which its colours name.
                (json with { Preview = colors with { Vae = written.ComputeVaeHash() } }).Save(path);
            }

            Directory.Move(partial, target);
        }
        catch (Exception error)
        {
            Remove(partial);
            if (error is IOException or UnauthorizedAccessException)
            {
                throw new NablaGenException($"{target}: cannot be written: {Line.Of(error.Message)}", error);
            }

            throw;
        }

        return notes;
    }

    private static void Remove(string folder)
    {
        try
        {
            Directory.Delete(folder, recursive: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // It was not made yet, or the file system is away: why the work failed counts.
        }
    }
}

/// <summary>How a model is written anew.</summary>
/// <param name="Layout">One of <see cref="ModelConverter.Layouts"/>.</param>
/// <param name="Format">The number format of transformer and text encoder: one of <see cref="PieceConverter.Formats"/> that the layout takes. The VAE and the image encoder keep theirs.</param>
/// <param name="ShardBytes">Bytes of tensors in one file of the transformer, and of Diffusers' text encoder.</param>
public sealed record ConversionOptions(string Layout, string Format, long ShardBytes)
{
    /// <summary>LoRAs to merge.</summary>
    public LoraList Loras { get; init; } = LoraList.Empty;
}
