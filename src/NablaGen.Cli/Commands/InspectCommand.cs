using System.CommandLine;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using NablaGen.Cli.Output;
using NablaGen.Generation;
using NablaGen.Memory;
using NablaGen.Models;
using NablaGen.Tensors;

namespace NablaGen.Cli.Commands;

/// <summary><c>nablagen inspect</c>: what a file or folder of weights is.</summary>
internal static class InspectCommand
{
    public const string Example = "inspect ComfyUI/models/diffusion_models/wan.safetensors";

    private const int MostKeys = 5;
    private const int MostTargets = 12;

    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        WriteIndented = true,
    };

    public static Command Create()
    {
        var path = new Argument<string>("PATH") { Description = "A file of weights (.safetensors, .gguf, .pth, an index of shards) or a model folder" };
        var json = new Option<bool>("--json") { Description = "Print JSON, with every missing and surplus key" };
        var command = new Command("inspect", "Say what a file of weights or a model folder is: its part, names, number formats, and keys that are missing or too many.")
        {
            path, json,
        };
        command.SetAction((parsed, _) =>
        {
            TorchRuntime.Load();
            var found = WithMemory(ModelInspector.Inspect(parsed.GetValue(path)!));
            if (parsed.GetValue(json))
            {
                Console.WriteLine(JsonSerializer.Serialize(found, Json));
            }
            else
            {
                Write(found);
            }

            return Task.FromResult(ExitCode.Done);
        });
        return command;
    }

    // Of a transformer's file only where the other parts are found around it.
    private static PathInspection WithMemory(PathInspection found)
    {
        if (found.Name is null && !(found.Layout is null && found.Files is [{ Kind: "transformer", Problem: null }]))
        {
            return found;
        }

        try
        {
            return found with { Memory = InspectedMemory.Of(VideoModel.Open(found.Path)) };
        }
        catch (NablaGenException) when (found.Name is null)
        {
            return found;
        }
    }

    private static void Write(PathInspection found)
    {
        if (found.Layout is not null)
        {
            Line("model", found.Name is null ? found.Path : $"{found.Name} in {found.Path}");
            Line("layout", found.Layout);
        }

        if (found.Problem is not null)
        {
            Line("problem", found.Problem);
        }

        foreach (var file in found.Files)
        {
            if (found.Layout is not null || found.Files.Count > 1)
            {
                Console.WriteLine();
            }

            Write(file);
        }

        if (found.Memory is { } memory)
        {
            Console.WriteLine();
            Line("memory", $"in bf16: text encoder {OutputSpace.Text(memory.TextEncoder)}, transformer {OutputSpace.Text(memory.Transformer)}, VAE {OutputSpace.Text(memory.Vae)}");
            Line("plan", $"{memory.Video} on a GPU: {OutputSpace.Text(memory.WithAllLayers)} with all layers in memory, {OutputSpace.Text(memory.Least)} with layers streamed");
            foreach (var card in memory.Cards)
            {
                Line(OutputSpace.Text(card.Memory), Text(card));
            }
        }
    }

    private static string Text(CardInspection card)
    {
        var layers = card.StreamedLayers == 0 ? $"all {card.Layers} layers" : $"{card.Layers - card.StreamedLayers} of {card.Layers} layers, the others streamed";
        var decoding = card.Decoding == VaeChoice.WholeFrames ? "" : $"; decoding in {card.Decoding}";
        var host = card.Host == 0 ? "" : $"; {OutputSpace.Text(card.Host)} of the machine's";
        return $"{layers}; text encoder on the {(card.IsTextEncoderOnDevice ? "GPU" : "CPU")}{decoding}{host}";
    }

    private static void Write(FileInspection file)
    {
        Line("file", file.Path);
        Line("holds", file.Family is null ? file.Kind : $"{file.Kind}, {file.Family}");
        if (file.Names is not null)
        {
            Line("names", file.Prefix.Length == 0 ? $"{file.Names}'s" : $"{file.Names}'s behind {file.Prefix}");
        }

        if (file.Sizes is not null)
        {
            Line("sizes", file.Sizes);
        }

        if (file.Lora is { } lora)
        {
            Line("changes", string.Join(", ", lora.Targets.Take(MostTargets).Select(target => $"{target.Key} ({target.Value})"))
                + (lora.Targets.Count > MostTargets ? $" and {lora.Targets.Count - MostTargets} more kinds of module" : ""));
            Line("rank", (lora.MostRank == 0 ? "no products" : lora.LeastRank == lora.MostRank ? $"{lora.MostRank}" : $"{lora.LeastRank} to {lora.MostRank}")
                + (lora.WholeChanges > 0 ? $", {lora.WholeChanges} whole changes" : ""));
            Keys("not read", lora.NotRead);
        }

        Line("numbers", string.Create(CultureInfo.InvariantCulture, $"{file.Parameters:N0} in {file.Tensors} tensors, {file.Bytes / 1048576.0:N1} MiB"));
        if (file.Formats.Count > 0)
        {
            Line("stored as", string.Join("; ", file.Formats.Select(format => $"{format.Key} ({format.Value})")));
        }

        if (file.HasTokenizer)
        {
            Line("tokenizer", "inside");
        }

        Keys("missing", file.Missing);
        Keys("surplus", file.Surplus);
        Keys("shapes", file.WrongShapes);
        if (file.Problem is not null)
        {
            Line("problem", file.Problem);
        }
    }

    private static void Keys(string name, IReadOnlyList<string> keys)
    {
        if (keys.Count > 0)
        {
            Line(name, string.Join(", ", keys.Take(MostKeys)) + (keys.Count > MostKeys ? $" and {keys.Count - MostKeys} more" : ""));
        }
    }

    // Keys come from strangers: nothing in them may be an order to the terminal.
    private static void Line(string name, string text) => Wrapped.Write($"{name,-11}", Files.Line.Of(text));
}
