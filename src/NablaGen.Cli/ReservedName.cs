using NablaGen.Files;

namespace NablaGen.Cli;

/// <summary>
/// The name that a run's files get where the user gives none: the first of NAME, NAME-2, NAME-3 … that no file of a run has. It is taken
/// when it is chosen: other processes see that until this is disposed of, and then they see the files.
/// </summary>
internal sealed class ReservedName : IDisposable
{
    private readonly FileClaims? _claims;

    private ReservedName(string path, FileClaims? claims) => (Path, _claims) = (path, claims);

    /// <summary>The path, with the first of the endings.</summary>
    public string Path { get; }

    /// <summary>Takes a name.</summary>
    /// <param name="named">What the user says; null for the first free default.</param>
    /// <param name="stem">The default without its ending, perhaps with a folder.</param>
    /// <param name="endings">Those of all files that the run writes; the first is that of <see cref="Path"/>.</param>
    /// <exception cref="InvalidRequestException">The user's name is empty.</exception>
    public static ReservedName Take(string? named, string stem, params IReadOnlyList<string> endings)
    {
        if (named is not null)
        {
            return named.Trim().Length > 0 ? new ReservedName(named, null) : throw new InvalidRequestException("the name of the output is empty");
        }

        var folder = System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(stem))!;
        var claims = new FileClaims(folder);
        try
        {
            for (var n = 1; ; n++)
            {
                var name = n == 1 ? stem : $"{stem}-{n}";
                bool IsFree() => !endings.Any(ending => System.IO.Path.Exists(name + ending));

                // Looked at again once it is ours: another may have finished in between.
                var claim = System.IO.Path.GetFileName(name);
                if (IsFree() && claims.TryClaim(claim))
                {
                    if (IsFree())
                    {
                        return new ReservedName(name + endings[0], claims);
                    }

                    claims.Release(claim);
                }
            }
        }
        catch (NablaGenException)
        {
            // Nothing can be written here: the check of the output says it better.
            claims.Dispose();
            return new ReservedName(stem + endings[0], null);
        }
    }

    /// <summary>The name that <see cref="Take"/> would take now, without taking it.</summary>
    /// <inheritdoc cref="Take"/>
    public static ReservedName Look(string? named, string stem, params IReadOnlyList<string> endings)
    {
        if (named is not null)
        {
            return Take(named, stem, endings);
        }

        var n = 1;
        string Name() => n == 1 ? stem : $"{stem}-{n}";
        while (endings.Any(ending => System.IO.Path.Exists(Name() + ending)))
        {
            n++;
        }

        return new ReservedName(Name() + endings[0], null);
    }

    /// <summary>Gives the name back; what was written under it keeps it taken.</summary>
    public void Dispose() => _claims?.Dispose();
}
