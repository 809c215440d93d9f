using NablaGen.Models.Wan.Layouts.Keys;

namespace NablaGen.Models.Wan.Layouts;

/// <summary>The layouts in which a Wan model may be stored on disk.</summary>
internal static class WanLayouts
{
    /// <summary>All of them, from the one that asks the most of a folder to the one that any weights fit; the first that recognizes a path reads it.</summary>
    public static IReadOnlyList<IWanLayout> All { get; } = [new DiffusersLayout(), new OfficialLayout(), new SingleFileLayout()];

    /// <summary>The layout that recognizes a path; where none does, the official one, which reports what is missing.</summary>
    public static IWanLayout Of(string path) => All.FirstOrDefault(layout => layout.Recognizes(path)) ?? All.OfType<OfficialLayout>().Single();

    /// <summary>The folder whose nablagen.json is a model's: its own, or that of the transformer's file where the folder is around it (ComfyUI's).</summary>
    /// <exception cref="NablaGenException">The folder holds no transformer, or several.</exception>
    public static string JsonFolder(string path) => File.Exists(path)
        ? Path.GetDirectoryName(Path.GetFullPath(path))!
        : !Directory.Exists(path) || File.Exists(Path.Combine(path, NablaGenJson.FileName)) || Of(path) is not SingleFileLayout ? path : SingleFileLayout.HomeOf(path);

    /// <summary>Finds a model's pieces by the layout that recognizes them, and puts those that the user names in their places.</summary>
    /// <exception cref="NablaGenException">There is no such folder or file, or pieces are missing.</exception>
    public static WanFiles Find(string path, ModelPieces pieces)
    {
        if (!Path.Exists(path))
        {
            throw ModelFamilies.Missing(path);
        }

        var layout = Of(path);
        if (File.Exists(path) && layout is not SingleFileLayout)
        {
            throw new NablaGenException($"{path}: expected a model folder or a transformer's weights (.safetensors, .gguf, .pth), found another file.");
        }

        return Named(layout.Find(path, pieces), pieces);
    }

    private static WanFiles Named(WanFiles files, ModelPieces pieces)
    {
        if (pieces.TextEncoder is { } text)
        {
            using var source = PieceFile.Open(text, WanPiece.TextEncoder);
            files = files with { TextEncoder = new WeightFile(text, WanPiece.TextEncoder), TextEncoderSizes = ShapeSizes.TextEncoder(source) };
            if (pieces.Tokenizer is null && (TokenizerFile.Near(text) ?? (files.Tokenizer.Path.Length > 0 ? files.Tokenizer : null)) is var near)
            {
                files = files with
                {
                    Tokenizer = near ?? throw new NablaGenException($"{text}: has no tokenizer inside or beside it: name umT5's spiece.model or tokenizer.json with --tokenizer."),
                };
            }
        }

        if (pieces.Vae is { } vae)
        {
            using var source = PieceFile.Open(vae, WanPiece.Vae);
            files = files with { Vae = new WeightFile(vae, WanPiece.Vae), VaeSizes = ShapeSizes.TryVae(source) };
        }

        if (pieces.ImageEncoder is { } image)
        {
            using var source = PieceFile.Open(image, WanPiece.ImageEncoder);
            files = files with { ImageEncoder = new WeightFile(image, WanPiece.ImageEncoder), ImageEncoderSizes = ShapeSizes.TryImageEncoder(source) };
        }

        files = files with { Others = [.. files.Others, .. new[] { pieces.TextEncoder, pieces.Vae, pieces.Tokenizer, pieces.ImageEncoder }.OfType<string>()] };
        return pieces.Tokenizer is { } tokenizer ? files with { Tokenizer = TokenizerFile.At(tokenizer) } : files;
    }
}
