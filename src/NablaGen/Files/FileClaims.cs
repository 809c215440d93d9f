using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace NablaGen.Files;

/// <summary>
/// Lets one process at a time have a name, on any number of machines that share a folder, without a lock that the file system may not
/// have. A claim is a file that only one process can create. Its owner touches it from time to time; the claim of a process that has died
/// is taken over by creating the next file in the name's sequence (NAME.1, NAME.2, …), of which the last counts. The number is the claim's
/// generation: who stood still and was taken for dead sees by it that the name is another's now (<see cref="Holds"/>).
/// </summary>
internal sealed class FileClaims : IDisposable
{
    private const string Ending = ".claim";
    private const int UnixFileExists = 17; // EEXIST
    private const int WindowsFileExists = unchecked((int)0x80070050);
    private static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(10);
    private static readonly ConcurrentDictionary<FileClaims, bool> All = new();

    private readonly string _folder;
    private readonly TimeSpan _patience;
    private readonly Timer _heart;
    private readonly Dictionary<string, (DateTime Touched, long Since)> _seen = [];
    private readonly ConcurrentDictionary<string, int> _mine = new();

    /// <param name="folder">The folder whose names are claimed, which is there before the first claim; the claims are in one inside.</param>
    /// <param name="patience">How long a claim may go untouched whose owner cannot be seen or was stopped; null for three minutes.</param>
    public FileClaims(string folder, TimeSpan? patience = null)
    {
        _folder = Path.Combine(folder, ".claims");
        _patience = patience ?? TimeSpan.FromMinutes(3);
        _heart = new Timer(_ => Touch(), null, Heartbeat, Heartbeat);
        All[this] = true;
    }

    /// <summary>Gives back all that this process has claimed, where it ends without going on.</summary>
    public static void ReleaseAll()
    {
        foreach (var claims in All.Keys)
        {
            claims.Dispose();
        }
    }

    /// <summary>Claims a name, until <see cref="Release"/>; false where another process has it.</summary>
    /// <remarks>Whether there is still something to do is to be looked up after this: only then can nobody have it in work.</remarks>
    /// <exception cref="NablaGenException">No claim can be written, or the folder is not there.</exception>
    public bool TryClaim(string name)
    {
        int last;
        try
        {
            last = Files(name).DefaultIfEmpty(0).Max();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw Unreadable(error);
        }

        return (last == 0 || IsAbandoned(PathOf(name, last))) && TryCreate(name, last + 1);
    }

    /// <summary>Looks at another's claim without taking it: how long it goes untouched counts from the first look.</summary>
    public void Look(string name)
    {
        try
        {
            if (Files(name).DefaultIfEmpty(0).Max() is > 0 and var last)
            {
                IsAbandoned(PathOf(name, last));
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw Unreadable(error);
        }
    }

    /// <summary>Whether a claimed name is still this process's: false where another has taken it over meanwhile.</summary>
    /// <remarks>
    /// A claim that somebody removed is made again. Its taker may have come and gone since, so what it was claimed for is to be looked up
    /// after this, too.
    /// </remarks>
    public bool Holds(string name)
    {
        if (!_mine.TryGetValue(name, out var number))
        {
            return false;
        }

        try
        {
            var numbers = Files(name).ToList();
            return numbers.Count == 0 ? TryCreate(name, number + 1) : numbers.Max() == number;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or NablaGenException)
        {
            // The file system is away for a moment, or the folder for good; what is to be written will say so.
            _mine[name] = number;
            return true;
        }
    }

    /// <summary>Gives a name back.</summary>
    public void Release(string name)
    {
        if (!_mine.TryRemove(name, out var mine))
        {
            return;
        }

        try
        {
            // The first goes first: while a later one is there, nobody takes an abandoned one for the last.
            foreach (var number in Files(name).Where(number => number <= mine).Order())
            {
                Delete(PathOf(name, number));
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The folder cannot be looked into any more: the claim is stale when this process has ended.
        }
    }

    /// <summary>Gives back what is still claimed, ends the heartbeat, and removes the folder where nothing is claimed.</summary>
    public void Dispose()
    {
        All.TryRemove(this, out _);
        _heart.Dispose();
        foreach (var name in _mine.Keys)
        {
            Release(name);
        }

        try
        {
            Directory.Delete(_folder);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // Others are still at work, or there was nothing to claim.
        }
    }

    private bool TryCreate(string name, int number)
    {
        var path = PathOf(name, number);
        try
        {
            MakeFolder();
            using var file = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
            _mine[name] = number;
            file.Write(JsonSerializer.SerializeToUtf8Bytes(ProcessIdentity.Current));
            return true;
        }
        catch (IOException error) when ((error is DirectoryNotFoundException && Directory.Exists(Path.GetDirectoryName(_folder)))
            || error.HResult is UnixFileExists or WindowsFileExists)
        {
            // Another was faster, perhaps even with all the work and the folder's removal.
            return false;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            Release(name);
            throw new NablaGenException(Line.Of($"{path}: cannot be written: {error.Message}"), error);
        }
    }

    // Only its own: where somebody has deleted the folder that it is in, nothing is claimed, and no new one comes to be.
    private void MakeFolder()
    {
        if (!Directory.Exists(Path.GetDirectoryName(_folder)))
        {
            throw new DirectoryNotFoundException($"the folder {Path.GetDirectoryName(_folder)} is not there");
        }

        Directory.CreateDirectory(_folder);
    }

    private NablaGenException Unreadable(Exception error) => new(Line.Of($"{_folder}: cannot be read: {error.Message}"), error);

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

    // The numbers of a name's claims.
    private IEnumerable<int> Files(string name)
    {
        try
        {
            return [.. Directory.GetFiles(_folder, $"{name}.*{Ending}")
                .Select(path => int.TryParse(Path.GetFileName(path)[(name.Length + 1)..^Ending.Length], NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0)];
        }
        catch (DirectoryNotFoundException)
        {
            return [];
        }
    }

    private string PathOf(string name, int number) => Path.Combine(_folder, $"{name}.{number}{Ending}");

    private bool IsAbandoned(string path)
    {
        try
        {
            switch (Owner(path)?.State())
            {
                case ProcessState.Ended:
                    return true;
                case ProcessState.Running:
                    // However long its clock or its disk stood still: it is there, and goes on.
                    return false;
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
        foreach (var (name, number) in _mine)
        {
            try
            {
                File.SetLastWriteTimeUtc(PathOf(name, number), DateTime.UtcNow);
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                // It has just been given back, or the file system is away for a moment.
            }
        }
    }
}
