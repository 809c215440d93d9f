using NablaGen.Files;
using NablaGen.Models.Wan.Converting;
using NablaGen.Models.Wan.Layouts;
using NablaGen.Models.Wan.Layouts.Keys;
using NablaGen.Weights;
using NablaGen.Weights.Gguf;
using NablaGen.Weights.Lora;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan;

/// <summary>
/// Writes a part of a model anew: one file, Wan's own names (which ComfyUI's transformers and GGUF have too), another number format. A tensor is in
/// memory at a time.
/// </summary>
public static class PieceConverter
{
    /// <summary>GGUF's number format that can be written.</summary>
    public const string Q8 = "q8_0";

    /// <summary>The number formats that can be written.</summary>
    public static IReadOnlyList<string> Formats { get; } = ["bf16", "fp16", "fp32", "fp8-scaled", Q8];

    /// <summary>Converts a file, and reads the new one back to compare it.</summary>
    /// <param name="source">A part in any layout and number format that can be read.</param>
    /// <param name="target">The new file, which must not be there yet.</param>
    /// <param name="format">
    /// One of <see cref="Formats"/>. <c>fp8-scaled</c> stores the layers' matrices in E4M3 with a scale a tensor, as ComfyUI does, and the rest in fp16;
    /// <c>q8_0</c> is for a transformer in a <c>.gguf</c>.
    /// </param>
    /// <param name="loras">LoRAs to merge into a transformer; null for none.</param>
    /// <param name="checkSpace">Is told how many bytes will be written, before any is; null for no check.</param>
    /// <param name="cancellation">Stops the work; nothing is left under the final name.</param>
    /// <returns>How many tensors were written.</returns>
    /// <exception cref="NablaGenException">The source is no part of a model or can't be read, or the target is there or can't be written.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static int Convert(
        string source, string target, string format, IReadOnlyList<LoraChoice>? loras = null, Action<long>? checkSpace = null, CancellationToken cancellation = default)
    {
        var ending = format == Q8 ? ".gguf" : ".safetensors";
        if (!Path.GetExtension(target).Equals(ending, StringComparison.OrdinalIgnoreCase))
        {
            throw new NablaGenException($"{target}: expected a name that ends in {ending}.");
        }

        if (Path.Exists(target))
        {
            throw new NablaGenException($"{target}: is there already: name another file.");
        }

        using var piece = PieceFile.Open(source)
            ?? throw new NablaGenException($"{source}: is no part of a Wan model by its keys: see nablagen inspect {Line.Of(source)}.");
        if (format == "fp8-scaled" && piece.Dialect.Piece is WanPiece.Vae or WanPiece.ImageEncoder)
        {
            throw new NablaGenException($"{source}: is {WanDialects.WithArticle(piece.Dialect.Piece)}, which is not stored in 8 bits: use bf16, fp16 or fp32.");
        }

        if (piece.Dialect.Piece != WanPiece.Transformer && (format == Q8 || loras is { Count: > 0 }))
        {
            throw new NablaGenException($"{source}: is {WanDialects.WithArticle(piece.Dialect.Piece)}: {(format == Q8 ? "GGUF is written of" : "LoRAs are merged into")} transformers alone.");
        }

        if (loras?.FirstOrDefault(lora => lora.Expert != LoraExpert.All) is { } expert)
        {
            throw new NablaGenException($"{expert}: one file is converted, not two experts: name the LoRA alone.");
        }

        Check(piece, source);
        using var merged = loras is { Count: > 0 } ? LoraSource.Over(SourceView.Under(piece.Source, ""), loras, WanLoraNames.Of(piece.Source)) : null;
        var from = merged ?? piece.Source;
        var note = piece.Dialect.Piece == WanPiece.Transformer
            ? TransformerNote.For(SingleFileLayout.Sizes(source, Path.GetDirectoryName(Path.GetFullPath(source))!, piece.Source).Config, piece.Source) : null;
        if (format == Q8)
        {
            var items = PieceTensors.Gguf(from, cancellation).ToList();
            checkSpace?.Invoke(items.Sum(item => item.ByteCount));
            var values = new Dictionary<string, object> { ["general.architecture"] = "wan", ["general.quantization_version"] = 2u, ["general.file_type"] = 7u };
            if (note is not null)
            {
                values.Add(TransformerNote.Key, note);
            }

            Write(target, partial =>
            {
                GgufWriter.Write(partial, values, items);
                GgufWriter.Verify(partial, items);
            });
            return items.Count;
        }

        var tensors = PieceTensors.Of(from, format, name => name, cancellation).Concat(TokenizerOf(source, piece)).ToList();
        checkSpace?.Invoke(tensors.Sum(tensor => tensor.ByteCount));
        Write(target, partial =>
        {
            SafetensorsWriter.Write(partial, tensors, note is null ? [] : [KeyValuePair.Create(TransformerNote.Key, note)]);
            WrittenTensors.Verify(partial, tensors);
        });
        return tensors.Count;
    }

    // The final name is given to what has been compared.
    private static void Write(string target, Action<string> write)
    {
        var partial = OutputFile.Aside(target);
        try
        {
            write(partial);
            if (Path.Exists(target))
            {
                throw new NablaGenException($"{target}: was made by another program meanwhile: name another file.");
            }

            OutputFile.Rename(partial, target);
        }
        catch
        {
            OutputFile.Discard(partial);
            throw;
        }
    }

    private static void Check(PieceFile piece, string source)
    {
        var found = WanInspector.InspectFile(source)!;
        if (found.Problem is not null)
        {
            throw new NablaGenException(found.Problem);
        }

        if (found.Missing.Concat(found.Surplus).Concat(found.WrongShapes).FirstOrDefault() is { } key)
        {
            throw new NablaGenException($"{source}: is no whole {WanDialects.Title(piece.Dialect.Piece)}: the key {Line.Key(key)} is missing, too many or of the wrong shape; see nablagen inspect.");
        }
    }

    private static IEnumerable<ConvertedTensor> TokenizerOf(string source, PieceFile piece)
    {
        if (piece.Dialect.Piece == WanPiece.TextEncoder && TokenizerFile.BytesInside(source) is { } bytes)
        {
            yield return new ConvertedTensor(HuggingFaceTextKeys.Tokenizer, StoredType.U8, [bytes.Length], () => tensor(bytes));
        }
    }
}
