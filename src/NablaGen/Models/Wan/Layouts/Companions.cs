using System.Globalization;
using NablaGen.Models.Wan.Layouts.Keys;
using NablaGen.Weights;

namespace NablaGen.Models.Wan.Layouts;

/// <summary>
/// Looks for the other parts of a model around its transformer's file: in its own folder and in the folders of a ComfyUI models directory. A file is
/// known by its keys and shapes, whatever its name.
/// </summary>
/// <param name="transformer">The transformer's file.</param>
internal sealed class Companions(string transformer)
{
    private const int MostFiles = 500;
    private const int Levels = 4;

    private static readonly EnumerationOptions Flat = new() { IgnoreInaccessible = true };
    private static readonly EnumerationOptions Deep = new() { RecurseSubdirectories = true, MaxRecursionDepth = 3, IgnoreInaccessible = true };

    private static readonly Dictionary<WanPiece, string[]> Folders = new()
    {
        [WanPiece.TextEncoder] = ["text_encoders", "clip", "text_encoder"],
        [WanPiece.Vae] = ["vae", "VAE"],
        [WanPiece.ImageEncoder] = ["clip_vision", "clip_visions"],
    };

    /// <summary>The files with tensors in folders, in the order of their names.</summary>
    public static IReadOnlyList<string> FilesIn(IEnumerable<string> folders, bool recursion = true) =>
        [.. folders.SelectMany(folder => Directory.EnumerateFiles(folder, "*", recursion ? Deep : Flat)).Where(TensorSources.IsTensorFile).Distinct().Order(StringComparer.Ordinal)
            .Take(MostFiles)];

    /// <summary>Whether a file is some part; false for one that can't be read.</summary>
    public static bool Is(string file, WanPiece piece)
    {
        try
        {
            using var found = PieceFile.Open(file);
            return found?.Dialect.Piece == piece;
        }
        catch (NablaGenException)
        {
            return false;
        }
    }

    /// <summary>
    /// Finds the file of a part. One in the transformer's own folder comes before one farther up, which may be another model's; of several there, the
    /// largest, which has lost least to a number format.
    /// </summary>
    /// <param name="piece">The part.</param>
    /// <param name="fault">Why a file of this part does not belong to the transformer; null if it does.</param>
    /// <exception cref="NablaGenException">There is none.</exception>
    public Companion Find(WanPiece piece, Func<ITensorSource, string?> fault)
    {
        var places = Places(piece);
        var (fitting, faults) = (new List<(string File, long Bytes)>(), new List<string>());
        foreach (var file in FilesIn(places.Where(Directory.Exists)).Concat(Beside()).Distinct())
        {
            try
            {
                using var found = PieceFile.Open(file);
                if (found?.Dialect.Piece != piece)
                {
                    continue;
                }

                if (fault(found.Source) is { } why)
                {
                    faults.Add($"{file}: {why}");
                }
                else
                {
                    fitting.Add((file, found.Source.Entries.Values.Sum(entry => entry.ByteCount)));
                }
            }
            catch (NablaGenException error)
            {
                faults.Add(error.Message.TrimEnd('.'));
            }
        }

        if (fitting.Count == 0)
        {
            throw new NablaGenException($"{transformer}: no {WanDialects.Title(piece)} for it was found in {string.Join(" or ", places.Append(OwnFolder))}: name one with {WanDialects.Option(piece)}"
                + (faults.Count == 0 ? "." : $" ({string.Join("; ", faults.Take(3))})."));
        }

        var own = fitting.Where(found => found.File.StartsWith(OwnFolder + Path.DirectorySeparatorChar, StringComparison.Ordinal)).ToList();
        var near = own.Count > 0 ? own : fitting;
        var chosen = near.OrderByDescending(found => found.Bytes).ThenBy(found => found.File, StringComparer.Ordinal).First();
        return new Companion(chosen.File, near.Count == 1
            ? chosen.File
            : string.Create(CultureInfo.InvariantCulture, $"{chosen.File} (the largest of {near.Count} that fit)"));
    }

    private string OwnFolder => Path.GetDirectoryName(Path.GetFullPath(transformer))!;

    // Its own folder may hold what a GGUF repository brings along; the models directory is some levels up.
    private List<string> Places(WanPiece piece)
    {
        var places = Folders[piece].Select(name => Path.Combine(OwnFolder, name)).Where(Directory.Exists).ToList();
        var folder = Path.GetDirectoryName(OwnFolder);
        for (var level = 0; folder is not null && level < Levels; folder = Path.GetDirectoryName(folder), level++)
        {
            var here = Folders[piece].Select(name => Path.Combine(folder, name)).Where(Directory.Exists).ToList();
            if (here.Count > 0)
            {
                return [.. places, .. here];
            }
        }

        return places;
    }

    private IEnumerable<string> Beside() => FilesIn([OwnFolder], recursion: false).Where(file => file != Path.GetFullPath(transformer));
}

/// <summary>A part that was found.</summary>
/// <param name="Path">Its file.</param>
/// <param name="Description">The file, and of how many it was chosen.</param>
internal sealed record Companion(string Path, string Description);
