using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace NablaGen.Jobs.Batch;

/// <summary>
/// Lets each row be made by one process at a time, on any number of machines that share a folder, without a lock that the file system
/// may not have. A claim is a file that only one process can create. Its owner touches it from time to time; the claim of a process
/// that has died is taken over by creating the next file in the row's sequence (NAME.1, NAME.2, …), of which the last counts.
/// </summary>
internal sealed class RowClaims : IDisposable
{
    private const string Ending = ".claim";
    private const int UnixFileExists = 17; // EEXIST
    private const int WindowsFileExists = unchecked((int)0x80070050);
    private static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(10);

    private readonly string _folder;
    private readonly TimeSpan _patience;
    private readonly Timer _heart;
    private readonly Dictionary<string, (DateTime Touched, long Since)> _seen = [];
    private volatile string? _mine;
    private int _number;

    /// <param name="folder">The batch's folder; the claims are in one inside.</param>
    /// <param name="patience">How long a claim on another machine may go untouched; null for three minutes.</param>
    public RowClaims(string folder, TimeSpan? patience = null)
    {
        _folder = Path.Combine(folder, ".claims");
        _patience = patience ?? TimeSpan.FromMinutes(3);
        _heart = new Timer(_ => Touch(), null, Heartbeat, Heartbeat);
    }

    /// <summary>Claims a row, until <see cref="Release"/>; false where another process makes it.</summary>
    /// <remarks>Whether the row is made already is to be looked up after this: only then can nobody have it in work.</remarks>
    /// <exception cref="NablaGenException">No claim can be written.</exception>
    public bool TryClaim(string name)
    {
        var last = Files(name).DefaultIfEmpty(0).Max();
        if (last > 0 && !IsAbandoned(PathOf(name, last)))
        {
            return false;
        }

        var path = PathOf(name, last + 1);
        try
        {
            Directory.CreateDirectory(_folder);
            using var file = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
            (_mine, _number) = (path, last + 1);
            file.Write(JsonSerializer.SerializeToUtf8Bytes(ProcessIdentity.Current));
            return true;
        }
        catch (IOException error) when (error is DirectoryNotFoundException || error.HResult is UnixFileExists or WindowsFileExists)
        {
            // Another was faster, perhaps even with the whole row and the folder's removal.
            return false;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            Release(name);
            throw new NablaGenException($"{path}: cannot be written: {error.Message}", error);
        }
    }

    /// <summary>Gives a row back.</summary>
    public void Release(string name)
    {
        _mine = null;
        // The first goes first: while a later one is there, nobody takes an abandoned one for the last.
        foreach (var number in Files(name).Where(number => number <= _number).Order())
        {
            Delete(PathOf(name, number));
        }

        _number = 0;
    }

    /// <summary>Ends the heartbeat, and removes the folder where nothing is claimed.</summary>
    public void Dispose()
    {
        _heart.Dispose();
        try
        {
            Directory.Delete(_folder);
        }
        catch (IOException)
        {
            // Others are still at work, or there was nothing to claim.
        }
    }

    private static void Delete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // On Windows another may be reading it; it is stale when this process has ended.
        }
    }

    // The numbers of a row's claims.
    private IEnumerable<int> Files(string name) => !Directory.Exists(_folder)
        ? []
        : Directory.GetFiles(_folder, $"{name}.*{Ending}")
            .Select(path => int.TryParse(Path.GetFileName(path)[(name.Length + 1)..^Ending.Length], CultureInfo.InvariantCulture, out var number) ? number : 0);

    private string PathOf(string name, int number) => Path.Combine(_folder, $"{name}.{number}{Ending}");

    private bool IsAbandoned(string path)
    {
        try
        {
            if (Owner(path) is { } owner && owner.HasEnded())
            {
                return true;
            }

            // By our own clock: those of two machines need not agree.
            var touched = File.GetLastWriteTimeUtc(path);
            if (!_seen.TryGetValue(path, out var seen) || seen.Touched != touched)
            {
                _seen[path] = seen = (touched, Stopwatch.GetTimestamp());
            }

            return Stopwatch.GetElapsedTime(seen.Since) > _patience;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // It is gone, or not to be read just now: look again later.
            return false;
        }
    }

    // Null where the owner has not written yet who it is.
    private static ProcessIdentity? Owner(string path)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            return JsonSerializer.Deserialize<ProcessIdentity>(file);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private void Touch()
    {
        if (_mine is { } path)
        {
            try
            {
                File.SetLastWriteTimeUtc(path, DateTime.UtcNow);
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                // The row has just been given back, or the file system is away for a moment.
            }
        }
    }
}
