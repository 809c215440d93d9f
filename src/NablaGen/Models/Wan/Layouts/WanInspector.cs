using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Image;
using NablaGen.Models.Wan.Layouts.Keys;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Layouts;

/// <summary>Says what a file or folder of Wan's family is, from headers alone.</summary>
internal static class WanInspector
{
    /// <summary>What a file is; null where its keys are no part's.</summary>
    /// <exception cref="NablaGenException">It can't be read.</exception>
    public static FileInspection? InspectFile(string path)
    {
        using var piece = PieceFile.Open(path);
        if (piece is null)
        {
            return null;
        }

        var source = piece.Source;
        var inspection = new FileInspection
        {
            Path = path,
            Kind = WanDialects.Title(piece.Dialect.Piece),
            Family = Family(piece),
            Names = piece.Dialect.Program,
            Prefix = piece.Prefix,
            Tensors = source.Entries.Count,
            Parameters = ModelInspector.Count(source.Entries.Values),
            Bytes = source.Entries.Values.Sum(entry => entry.ByteCount),
            Formats = ModelInspector.Formats(source.Entries.Values),
            HasTokenizer = piece.Dialect.Piece == WanPiece.TextEncoder && TokenizerFile.IsInside(path),
        };
        try
        {
            var (sizes, shapes) = Sizes(piece, path);
            return inspection with
            {
                Sizes = sizes,
                Missing = [.. shapes.Keys.Where(key => !source.Entries.ContainsKey(key)).Order(StringComparer.Ordinal)],
                Surplus = [.. source.Entries.Keys.Where(key => !shapes.ContainsKey(key)).Order(StringComparer.Ordinal)],
                WrongShapes = [.. shapes.Where(pair => source.Entries.TryGetValue(pair.Key, out var entry) && !entry.Shape.AsSpan().SequenceEqual(pair.Value))
                    .Select(pair => pair.Key).Order(StringComparer.Ordinal)],
            };
        }
        catch (NablaGenException error)
        {
            return inspection with { Problem = error.Message };
        }
    }

    /// <summary>What a folder is: its model's parts, or the files in it where it is no whole model.</summary>
    /// <exception cref="NablaGenException">A part can't be read.</exception>
    public static PathInspection InspectFolder(string path)
    {
        WanVideoModel model, told;
        try
        {
            model = WanVideoModel.Open(path);
            told = (WanVideoModel)model.For(hasPicture: true);
        }
        catch (NablaGenException error)
        {
            var found = Companions.FilesIn([path]).Select(ModelInspector.InspectOrTell).ToList();
            return new PathInspection(path, found.Count > 0 ? WanLayouts.Of(path).Name : null, null, found, error.Message);
        }

        return new PathInspection(
            path, WanLayouts.Of(path).Name, model.Name, [.. model.WeightPaths.Concat(told.WeightPaths).Distinct().Select(file => InPlace(ModelInspector.InspectFile(file), model))], null);
    }

    // The official layout goes by names, which may stand on another part's file.
    private static FileInspection InPlace(FileInspection found, WanVideoModel model)
    {
        var place = found.Path == model.TextEncoderPath ? WanPiece.TextEncoder : found.Path == model.VaePath ? WanPiece.Vae : (WanPiece?)null;
        return place is { } piece && found.Kind != WanDialects.Title(piece)
            ? found with { Problem = $"it lies where the model's {WanDialects.Title(piece)} is expected" }
            : found;
    }

    private static (string Words, IReadOnlyDictionary<string, long[]> Shapes) Sizes(PieceFile piece, string path)
    {
        switch (piece.Dialect.Piece)
        {
            case WanPiece.Transformer:
                var (config, dit) = SingleFileLayout.Sizes(path, Path.GetDirectoryName(Path.GetFullPath(path))!, piece.Source);
                // Nothing says how wide its heads are, and its width is none of Wan's own.
                var isGuess = config == path && dit.Dim is not (1536 or 3072 or 5120) && dit.LowRank == 0 && TransformerNote.Read(piece.Source) is null;
                dit = dit.GuideChannels > 0 ? DitVariant.Detect(dit, piece.Source, ImageEncoderConfig.VitH14.Tokens) : dit;
                return ($"{dit.NumLayers} layers, width {dit.Dim}, {dit.NumHeads} heads{(isGuess ? $" (taken to be {dit.HeadDim} wide: no config.json beside it says)" : "")}, feed-forward {dit.FfnDim}, {dit.InDim} latent channels{(dit.LowRank > 0 ? $", low-rank branch of {dit.LowRank}" : "")}", Shapes(new WanModel(dit, ModuleOptions.Meta)));
            case WanPiece.TextEncoder:
                var text = ShapeSizes.TextEncoder(piece.Source);
                return ($"{text.NumLayers} layers, width {text.Dim}, {text.NumHeads} heads, vocabulary {text.Vocab}", Shapes(new T5Encoder(text, ModuleOptions.Meta)));
            case WanPiece.ImageEncoder:
                var image = ShapeSizes.TryImageEncoder(piece.Source) ?? throw new NablaGenException(
                    $"{path}: its width of {ShapeSizes.ImageWidth(piece.Source)} is not made of heads as wide as CLIP's: a nablagen.json must say the \"image_encoder\"'s sizes.");
                // Only what the encoder reads of the file counts: a tower of texts, the head and the last layer are of no use to it.
                return ($"{image.NumLayers} layers, width {image.Dim}, {image.NumHeads} heads, {image.ImageSize} pixels in patches of {image.PatchSize}", piece.Source.Entries.ToDictionary(entry => entry.Key, entry => entry.Value.Shape));
            default:
                // Whose statistics they are does not matter to the shapes.
                var channels = ShapeSizes.LatentChannels(piece.Source);
                var vae = ShapeSizes.VaeOf(piece.Source);
                return ($"{channels} latent channels, base width {vae.Dim}", Shapes(new WanVae(vae, ModuleOptions.Meta)));
        }
    }

    private static IReadOnlyDictionary<string, long[]> Shapes(nn.Module module)
    {
        using (module)
        {
            return module.Shapes();
        }
    }

    // Which of Wan's models it is, by what tells them apart.
    private static string Family(PieceFile piece)
    {
        var entries = piece.Source.Entries;
        if (piece.Dialect.Piece == WanPiece.TextEncoder)
        {
            return "Wan (umT5)";
        }

        if (piece.Dialect.Piece == WanPiece.ImageEncoder)
        {
            return "Wan 2.1 (CLIP)";
        }

        if (piece.Dialect.Piece == WanPiece.Vae)
        {
            return entries.TryGetValue("conv2.weight", out var latents) && latents.Shape is [48, ..] ? "Wan 2.2" : "Wan 2.1";
        }

        var channels = entries.TryGetValue("patch_embedding.weight", out var patch) && patch.Shape.Length > 1 ? patch.Shape[1] : 0;
        var kind = entries.ContainsKey("vace_patch_embedding.weight") ? "Wan 2.1 VACE"
            : entries.ContainsKey("img_emb.emb_pos") ? "Wan 2.1 first and last frame to video"
            : entries.ContainsKey("img_emb.proj.0.bias") ? "Wan 2.1 image to video"
            : channels == 36 ? "Wan 2.2 image to video"
            : channels == 48 ? "Wan 2.2 text and image to video"
            : "Wan text to video";
        var width = entries.TryGetValue("head.modulation", out var head) && head.Shape.Length > 0 ? head.Shape[^1] : 0;
        kind += DitVariant.LowRankOf(piece.Source) > 0 ? ", sparse + low-rank attention (SparkDiffusion)" : "";
        return width switch { 1536 => $"{kind}, 1.3B", 3072 => $"{kind}, 5B", 5120 => $"{kind}, 14B", _ => kind };
    }
}
