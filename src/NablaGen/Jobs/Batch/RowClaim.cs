using NablaGen.Files;

namespace NablaGen.Jobs.Batch;

/// <summary>A row that this process has in work: the names it claimed, and what was known of the row's video then.</summary>
internal sealed class RowClaim
{
    private readonly BatchRow _row;
    private readonly IReadOnlyList<string> _names;
    private readonly FileClaims _claims;
    private readonly RowPlaces _places;
    private readonly BatchManifest _manifest;
    private readonly IReadOnlyList<ManifestEntry> _known;

    /// <param name="row">The row.</param>
    /// <param name="names">What is claimed for it.</param>
    /// <param name="claims">The claims.</param>
    /// <param name="places">The rows' files.</param>
    /// <param name="manifest">What is known, just refreshed.</param>
    public RowClaim(BatchRow row, IReadOnlyList<string> names, FileClaims claims, RowPlaces places, BatchManifest manifest)
    {
        (_row, _names, _claims, _places, _manifest) = (row, names, claims, places, manifest);
        _known = places.Known(row);
    }

    /// <summary>Whether the row is still this process's.</summary>
    public bool Holds() => _names.All(_claims.Holds);

    /// <summary>Writes how the row ended, if it is still this process's to say.</summary>
    /// <exception cref="ClaimLostException">Another has taken the row over, or has made it since: what it recorded is not undone.</exception>
    /// <exception cref="NablaGenException">The manifest cannot be written.</exception>
    public void Record(ManifestEntry entry)
    {
        if (!Holds())
        {
            throw new ClaimLostException();
        }

        _manifest.Refresh();
        if (_places.Known(_row).Any(line => line.State == RowState.Done && !_known.Contains(line)))
        {
            throw new ClaimLostException();
        }

        _manifest.Add(entry);
    }
}
