using System.Text.Json;
using NablaGen.Files;

namespace NablaGen.Hub;

/// <summary>Reads what a repository holds: its commit, its licence, and each file's path, size and hash.</summary>
internal static class HubListing
{
    private const int MostBytes = 64 << 20;
    private const int MostPages = 1000;
    private const int MostFiles = 100_000;
    private const long LargestFile = 1L << 42;
    private const int Block = 1 << 16;

    /// <summary>Asks the hub for a repository.</summary>
    /// <param name="client">The hub.</param>
    /// <param name="repository">Its name, <c>owner/name</c>.</param>
    /// <param name="revision">A branch, tag or commit.</param>
    /// <param name="cancellation">Stops the work.</param>
    /// <exception cref="NablaGenException">It is not there, may not be read, or its listing can't be believed.</exception>
    public static async Task<HubRepository> FindAsync(HubClient client, string repository, string revision, CancellationToken cancellation)
    {
        var (info, _) = await ReadAsync(client, client.Address($"api/models/{repository}/revision/{Uri.EscapeDataString(revision)}"), repository, cancellation).ConfigureAwait(false);
        using var page = info;
        var commit = Text(info.RootElement, "sha");
        if (commit is null || commit.Length > 64 || !commit.All(char.IsAsciiHexDigit))
        {
            throw new NablaGenException($"{repository}: the hub's answer names no commit (\"sha\"): is {client.Access} a hub?");
        }

        var files = new List<HubFile>();
        var next = client.Address($"api/models/{repository}/tree/{commit}?recursive=true");
        for (var pages = 0; next is not null; pages++)
        {
            var (listing, following) = await ReadAsync(client, next, repository, cancellation).ConfigureAwait(false);
            using var read = listing;
            if (listing.RootElement.ValueKind != JsonValueKind.Array || pages == MostPages || files.Count > MostFiles)
            {
                throw new NablaGenException($"{repository}: the hub's listing is no list of files, or has no end.");
            }

            files.AddRange(listing.RootElement.EnumerateArray().Where(entry => Text(entry, "type") == "file").Select(entry => FileOf(entry, repository, commit)));
            next = following;
        }

        return new HubRepository(repository, commit, Licence(info.RootElement), files);
    }

    private static Task<(JsonDocument Page, Uri? Next)> ReadAsync(HubClient client, Uri address, string repository, CancellationToken cancellation) => client.PatientlyAsync(
        async () =>
        {
            using var response = await client.GetAsync(address, repository, cancellation).ConfigureAwait(false);
            using var stream = await response.Content.ReadAsStreamAsync(cancellation).ConfigureAwait(false);
            using var bytes = new MemoryStream();
            var buffer = new byte[Block];
            while (await client.ListeningAsync(stop => stream.ReadAsync(buffer, stop).AsTask(), address.Host, cancellation).ConfigureAwait(false) is > 0 and var read)
            {
                bytes.Write(buffer, 0, read);
                if (bytes.Length > MostBytes)
                {
                    throw new NablaGenException($"{repository}: the hub's listing has more than {MostBytes >> 20} MiB.");
                }
            }

            return (JsonFile.Parse(bytes.ToArray(), repository, "the hub's answer "), Next(response, client, address, repository));
        },
        cancellation);

    // Link: <address>; rel="next". It is asked with the token, so it must be the hub's own.
    private static Uri? Next(HttpResponseMessage response, HubClient client, Uri address, string repository)
    {
        var link = response.Headers.TryGetValues("Link", out var links)
            ? links.SelectMany(text => text.Split(',')).FirstOrDefault(text => text.Contains("rel=\"next\"", StringComparison.OrdinalIgnoreCase))
            : null;
        if (link is null)
        {
            return null;
        }

        var (start, end) = (link.IndexOf('<', StringComparison.Ordinal), link.IndexOf('>', StringComparison.Ordinal));
        return start >= 0 && end > start && Uri.TryCreate(address, link[(start + 1)..end], out var next) && client.Access.Owns(next)
            ? next
            : throw new NablaGenException($"{repository}: the hub's listing goes on at {Line.Key(link)}, which is not the hub's own.");
    }

    private static HubFile FileOf(JsonElement entry, string repository, string commit)
    {
        var path = Text(entry, "path") ?? throw new NablaGenException($"{repository}: the hub lists a file without a \"path\".");
        var isLarge = entry.TryGetProperty("lfs", out var lfs) && lfs.ValueKind == JsonValueKind.Object;
        var (size, hash) = (Size(entry), ContentHash.Parse(Text(isLarge ? lfs : entry, "oid")));
        return size is not { } bytes || hash is null || (isLarge && (Size(lfs) != size || hash.Name != "SHA-256"))
            ? throw new NablaGenException($"{repository}: the hub lists {Line.Key(path)} without a size and a hash that fit each other.")
            : new HubFile(repository, commit, path, bytes, hash);
    }

    // A repository's page states it in its head; older answers have it as a tag alone.
    private static string? Licence(JsonElement info)
    {
        const string Tag = "license:";
        var stated = info.ValueKind == JsonValueKind.Object && info.TryGetProperty("cardData", out var card) && card.ValueKind == JsonValueKind.Object
            ? Text(card, "license_name") ?? Text(card, "license")
            : null;
        var tag = info.TryGetProperty("tags", out var tags) && tags.ValueKind == JsonValueKind.Array
            ? tags.EnumerateArray().Where(one => one.ValueKind == JsonValueKind.String).Select(one => one.GetString()!).FirstOrDefault(one => one.StartsWith(Tag, StringComparison.Ordinal))?[Tag.Length..]
            : null;
        return stated ?? tag;
    }

    private static string? Text(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static long? Size(JsonElement element) =>
        element.TryGetProperty("size", out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var size) && size is >= 0 and <= LargestFile ? size : null;
}
