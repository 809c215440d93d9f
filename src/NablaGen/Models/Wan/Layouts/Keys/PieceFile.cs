using NablaGen.Weights;

namespace NablaGen.Models.Wan.Layouts.Keys;

/// <summary>
/// A file of weights that was recognised by its keys, whatever its name and whoever wrote it. Its tensors have Wan's own names and plain numbers.
/// </summary>
internal sealed class PieceFile : IDisposable
{
    // What programs put before the names: trainers' and compilers' wrappers, and what keeps the parts of one file apart.
    private static readonly string[] Prefixes =
    [
        "model.diffusion_model.", "diffusion_model.", "pipe.dit.", "dit.", "transformer.", "net.", "model.", "module.", "_orig_mod.", "vae.", "first_stage_model.",
        "text_encoder.", "generator.",
    ];

    // Wrappers of single layers, anywhere in a name.
    private static readonly string[] Wrappers = ["_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."];

    private PieceFile(WanDialect dialect, string prefix, ITensorSource source) => (Dialect, Prefix, Source) = (dialect, prefix, source);

    /// <summary>Which part it is, under whose names.</summary>
    public WanDialect Dialect { get; }

    /// <summary>What stands before the names.</summary>
    public string Prefix { get; }

    /// <summary>Its tensors under Wan's own names, and whatever else it has under its keys.</summary>
    public ITensorSource Source { get; }

    /// <summary>Opens a file and recognises it; null where its keys are no part's of a Wan model.</summary>
    /// <exception cref="NablaGenException">It is malformed, or has a number format that can't be read.</exception>
    public static PieceFile? Open(string path)
    {
        var source = Expanded(path);
        try
        {
            var piece = Recognise(source);
            if (piece is null)
            {
                source.Dispose();
            }

            return piece;
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }

    /// <summary>Opens a file that is expected to be some part; one that is not recognised is left for the check of its keys to complain about.</summary>
    /// <exception cref="NablaGenException">It is malformed, has a number format that can't be read, or is another part.</exception>
    public static ITensorSource Open(string path, WanPiece expected)
    {
        var source = Expanded(path);
        try
        {
            var piece = Recognise(source);
            if (piece is not null && piece.Dialect.Piece != expected)
            {
                throw new NablaGenException($"{path}: is {WanDialects.WithArticle(piece.Dialect.Piece)} by its keys, expected {WanDialects.WithArticle(expected)}.");
            }

            return piece?.Source ?? source;
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }

    /// <summary>Closes the file.</summary>
    public void Dispose() => Source.Dispose();

    private static ITensorSource Expanded(string path)
    {
        var source = TensorSources.Open(path);
        try
        {
            return ScaledSource.Over(source);
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }

    private static PieceFile? Recognise(ITensorSource source)
    {
        foreach (var dialect in WanDialects.All)
        {
            if (source.Entries.Keys.Select(key => PrefixOf(key, dialect.Mark)).FirstOrDefault(prefix => prefix is not null) is not { } prefix)
            {
                continue;
            }

            var plain = source.Entries.Keys.Where(key => key.StartsWith(prefix, StringComparison.Ordinal)).Select(key => Unwrapped(key[prefix.Length..])).ToHashSet();
            var names = dialect.Names(plain);
            if (prefix.Length == 0 && source.Entries.Keys.All(key => names(Unwrapped(key)) == key))
            {
                return new PieceFile(dialect, prefix, source);
            }

            var view = SourceView.Renamed(source, key => key.StartsWith(prefix, StringComparison.Ordinal) ? names(Unwrapped(key[prefix.Length..])) : key);
            return new PieceFile(dialect, prefix, view);
        }

        return null;
    }

    // What stands before the mark in a key, if it is made of known prefixes.
    private static string? PrefixOf(string key, string mark)
    {
        var plain = Unwrapped(key);
        if (!plain.EndsWith(mark, StringComparison.Ordinal))
        {
            return null;
        }

        var left = plain[..^mark.Length];
        while (Prefixes.FirstOrDefault(prefix => left.StartsWith(prefix, StringComparison.Ordinal)) is { } known)
        {
            left = left[known.Length..];
        }

        return left.Length > 0 ? null : key[..key.IndexOf(mark, StringComparison.Ordinal)];
    }

    private static string Unwrapped(string key) => Wrappers.Aggregate(key, (name, wrapper) => name.Replace(wrapper, "", StringComparison.Ordinal));
}
