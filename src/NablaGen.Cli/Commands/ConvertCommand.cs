using System.CommandLine;
using NablaGen.Cli.Output;
using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Memory;
using NablaGen.Models;
using NablaGen.Models.Wan;
using NablaGen.Tensors;
using NablaGen.Weights.Lora;

namespace NablaGen.Cli.Commands;

/// <summary><c>nablagen convert</c>: a model, or a part of one, in another layout or number format.</summary>
internal sealed class ConvertCommand
{
    public const string Example = "convert wan-Q8_0.gguf wan-bf16.safetensors --type bf16";

    private const string DefaultShard = "5GB";

    private readonly Argument<string> _source = new("SOURCE") { Description = "A part in one file (or an index of shards) in any layout and number format that can be read; for a folder, a whole model as --model takes it" };
    private readonly Argument<string> _target = new("DEST") { Description = "The .safetensors, the .gguf (a transformer) or the folder to write, which must not be there yet" };
    private readonly Option<string?> _type = new("--type")
    {
        Description = $"{string.Join(", ", PieceConverter.Formats)}: fp8-scaled stores the layers' matrices in 8 bits with a scale each, as ComfyUI does [default: bf16, {PieceConverter.Q8} in a .gguf]",
        HelpName = "TYPE",
    };

    private readonly Option<string?> _layout = new("--layout")
    {
        Description = $"A folder's layout: {string.Join(" or ", ModelConverter.Layouts)} [default: {ModelConverter.Layouts[0]}]",
        HelpName = "NAME",
    };

    private readonly Option<string?> _shard = new("--shard-size")
    {
        Description = $"In a folder, the most bytes in a file of the transformer [default: {DefaultShard}]",
        HelpName = "SIZE",
    };

    private readonly Option<string[]> _lora = new("--lora") { Description = "Merge a LoRA into the transformer, at strength X; may be given more than once", HelpName = "FILE[:X]" };
    private readonly PieceOptions _pieces = new();

    public static Command Create()
    {
        var self = new ConvertCommand();
        self._type.CompletionSources.Add([.. PieceConverter.Formats]);
        self._layout.CompletionSources.Add([.. ModelConverter.Layouts]);
        var command = new Command("convert", "Write a model or a part of one anew, a tensor at a time, and read it back to compare it.")
        {
            self._source, self._target, self._type, self._layout, self._shard, self._lora,
        };
        self._pieces.AddTo(command);
        command.SetAction((parsed, cancellation) => Task.FromResult(self.Run(parsed, cancellation)));
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        var (source, target) = (parsed.GetValue(_source)!, parsed.GetValue(_target)!);
        var ending = Path.GetExtension(target).ToLowerInvariant();
        var isFile = ending is ".safetensors" or ".gguf";
        var type = parsed.GetValue(_type) ?? (ending == ".gguf" ? PieceConverter.Q8 : PieceConverter.Formats[0]);
        Check("--type", type, PieceConverter.Formats);
        var layout = parsed.GetValue(_layout) ?? ModelConverter.Layouts[0];
        Check("--layout", layout, ModelConverter.Layouts);
        var pieces = _pieces.Read(parsed);
        if (isFile && (parsed.GetValue(_layout) is not null || parsed.GetValue(_shard) is not null || pieces != ModelPieces.None))
        {
            throw new InvalidRequestException($"--layout, --shard-size and the parts' options are for a folder, and {target} is one file");
        }

        var shard = ByteSize.Parse(parsed.GetValue(_shard) ?? DefaultShard);
        var loras = Loras(parsed.GetValue(_lora)!).FoundNear(source);
        TorchRuntime.Load();
        void CheckSpace(long bytes) => OutputSpace.Check(target, bytes, isFile ? "the converted file" : "the converted model");
        if (isFile)
        {
            var count = PieceConverter.Convert(source, target, type, loras, CheckSpace, cancellation);
            Summary.Line("file", $"{target} ({count} tensors, {OutputSpace.Text(new FileInfo(target).Length)}, compared with {Path.GetFileName(source)})");
            return ExitCode.Done;
        }

        if (ending is ".pth" or ".pt" or ".ckpt")
        {
            throw new InvalidRequestException($"{target}: {ending} is not written: expected a name that ends in .safetensors or .gguf, or a folder's");
        }

        if (ModelLocator.Open(source, pieces) is not WanVideoModel model)
        {
            throw new NablaGenException($"{source}: is no Wan model.");
        }

        foreach (var note in ModelConverter.Convert(model, target, new ConversionOptions(layout, type, shard) { Loras = loras }, CheckSpace, cancellation))
        {
            CommandRunner.Warn($"note: {note}");
        }

        var files = new DirectoryInfo(target).EnumerateFiles("*", SearchOption.AllDirectories).ToList();
        Summary.Line("model", $"{target} ({layout}, {files.Count} files, {OutputSpace.Text(files.Sum(file => file.Length))}, compared with {Path.GetFileName(model.Path)})");
        return ExitCode.Done;
    }

    private static void Check(string option, string value, IReadOnlyList<string> known)
    {
        if (!known.Contains(value))
        {
            throw new InvalidRequestException($"{option}: '{value}' is not one of {string.Join(", ", known)}");
        }
    }

    private static LoraList Loras(string[] texts) => texts.Length == 0
        ? LoraList.Empty
        : RequestFields.Table.Read(texts.Select(text => KeyValuePair.Create((RequestField)RequestFields.Lora, text)), FieldSource.CommandLine).Get(RequestFields.Lora) ?? LoraList.Empty;
}
