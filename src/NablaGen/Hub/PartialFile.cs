using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using NablaGen.Files;

namespace NablaGen.Hub;

/// <summary>
/// A file that is being downloaded: its bytes beside the final name in <c>NAME.download</c>, and in <c>NAME.download.json</c> which of them are there.
/// Both outlive the process, so that a later one goes on. The final name is given to what has the right hash.
/// </summary>
internal sealed class PartialFile : IDisposable
{
    private const string Ending = ".download";
    private const string StateEnding = ".download.json";
    private const int MostParts = 1 << 20;

    private readonly string _data;
    private readonly string _state;
    private readonly Lock _saving = new();
    private SafeFileHandle? _handle;
    private int _partsLeft;

    private PartialFile(HubFile file, string target, long partBytes)
    {
        (File, Target, _data, _state) = (file, target, target + Ending, target + StateEnding);
        // Longer parts rather than very many.
        PartBytes = Math.Clamp(partBytes, (file.Size / MostParts) + 1, file.Size + 1);
        Parts = [.. Enumerable.Range(0, (int)((file.Size / PartBytes) + (file.Size % PartBytes > 0 ? 1 : 0))).Select(i => new FilePart(this, i * PartBytes, Math.Min((i + 1) * PartBytes, file.Size)))];
    }

    /// <summary>What is downloaded.</summary>
    public HubFile File { get; }

    /// <summary>The final name.</summary>
    public string Target { get; }

    /// <summary>Bytes of each part but the last.</summary>
    public long PartBytes { get; }

    /// <summary>The parts, in order; none for an empty file.</summary>
    public IReadOnlyList<FilePart> Parts { get; }

    /// <summary>Whether some of it is from an earlier run.</summary>
    public bool IsResumed { get; private set; }

    /// <summary>Bytes that are on the disk.</summary>
    public long Bytes => Parts.Sum(part => part.Got);

    /// <summary>Whether a path has a name that this class gives.</summary>
    public static bool IsName(string path) => path.EndsWith(Ending, StringComparison.OrdinalIgnoreCase) || path.EndsWith(StateEnding, StringComparison.OrdinalIgnoreCase);

    /// <summary>Looks at what an earlier run has left of a file; writes nothing.</summary>
    /// <param name="file">The file.</param>
    /// <param name="target">Its final name.</param>
    /// <param name="partBytes">Bytes of a part.</param>
    public static PartialFile Find(HubFile file, string target, long partBytes)
    {
        var partial = new PartialFile(file, target, partBytes);
        partial.IsResumed = partial.Restore();
        return partial;
    }

    /// <summary>Opens the data for writing, and makes the folders that they are in.</summary>
    /// <exception cref="NablaGenException">It can't be written.</exception>
    public void Open()
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Target)!);
            _handle = System.IO.File.OpenHandle(_data, IsResumed ? FileMode.Open : FileMode.Create, FileAccess.Write, FileShare.Read);
            _partsLeft = Parts.Count(part => part.Got < part.Length);
            Save();
        }
        catch (Exception error) when (OutputFile.IsOfFiles(error))
        {
            throw new NablaGenException($"{Target}: cannot be written: {Line.Of(error.Message)}", error);
        }
    }

    /// <summary>Writes bytes of a part behind those that it has.</summary>
    /// <exception cref="NablaGenException">The disk does not take them.</exception>
    public async Task WriteAsync(FilePart part, ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
    {
        try
        {
            await RandomAccess.WriteAsync(_handle!, bytes, part.From + part.Got, cancellation).ConfigureAwait(false);
            part.Got += bytes.Length;
        }
        catch (Exception error) when (OutputFile.IsOfFiles(error))
        {
            throw new NablaGenException($"{Target}: cannot be written: {Line.Of(error.Message)}: make room, and the same command goes on where it stopped.", error);
        }
    }

    /// <summary>Whether the part that has just become whole was the last.</summary>
    public bool TryEnd() => Interlocked.Decrement(ref _partsLeft) == 0;

    /// <summary>
    /// Records which bytes are there, where it is open for writing. After a power cut it may say more than the disk has; the hash tells.
    /// </summary>
    /// <exception cref="NablaGenException">It can't be written.</exception>
    public void Save()
    {
        lock (_saving)
        {
            if (_handle is not null)
            {
                var state = new State(File.Hash.Hex, File.Size, PartBytes, [.. Parts.Select(part => part.Got)]);
                OutputFile.Write(_state, file => JsonSerializer.Serialize(file, state));
            }
        }
    }

    /// <summary>Gives the file its final name if it is what it should be. The data are closed.</summary>
    /// <returns>The hash that was found instead; null where it is right.</returns>
    /// <exception cref="NablaGenException">It can't be given the name.</exception>
    public ContentHash? Finish(CancellationToken cancellation)
    {
        Save();
        RandomAccess.FlushToDisk(_handle!);
        Dispose();
        if (File.Hash.Of(_data, cancellation) is var found && found != File.Hash)
        {
            return found;
        }

        try
        {
            System.IO.File.Move(_data, Target, overwrite: false);
            System.IO.File.Delete(_state);
            return null;
        }
        catch (Exception error) when (OutputFile.IsOfFiles(error))
        {
            throw new NablaGenException($"{Target}: the finished file {_data} can't be given this name: {Line.Of(error.Message)}", error);
        }
    }

    /// <summary>Removes what was downloaded, so that it begins anew.</summary>
    public void Discard()
    {
        Dispose();
        OutputFile.Discard(_data);
        OutputFile.Discard(_state);
        IsResumed = false;
        foreach (var part in Parts)
        {
            part.Got = 0;
        }
    }

    /// <summary>Closes the data.</summary>
    public void Dispose()
    {
        lock (_saving)
        {
            _handle?.Dispose();
            _handle = null;
        }
    }

    // What an earlier run has recorded, if it is of this very file and the data are as long as it says.
    private bool Restore()
    {
        try
        {
            var state = System.IO.File.Exists(_state) && System.IO.File.Exists(_data) ? JsonSerializer.Deserialize<State>(System.IO.File.ReadAllBytes(_state)) : null;
            if (state is null || state.Hash != File.Hash.Hex || state.Size != File.Size || state.Part != PartBytes || state.Got?.Length != Parts.Count)
            {
                return false;
            }

            var length = new FileInfo(_data).Length;
            if (Parts.Zip(state.Got).Any(pair => pair.Second < 0 || pair.Second > pair.First.Length || (pair.Second > 0 && pair.First.From + pair.Second > length)))
            {
                return false;
            }

            foreach (var (part, got) in Parts.Zip(state.Got))
            {
                part.Got = got;
            }

            return true;
        }
        catch (Exception error) when (error is JsonException || OutputFile.IsOfFiles(error))
        {
            return false;
        }
    }

    private sealed record State(string Hash, long Size, long Part, long[] Got);
}

/// <summary>A run of a file's bytes that one connection fetches.</summary>
/// <param name="file">The file.</param>
/// <param name="from">The first byte.</param>
/// <param name="to">The one behind the last.</param>
internal sealed class FilePart(PartialFile file, long from, long to)
{
    private long _got;

    /// <summary>The file.</summary>
    public PartialFile File => file;

    /// <summary>The first byte.</summary>
    public long From => from;

    /// <summary>The one behind the last.</summary>
    public long To => to;

    /// <summary>Its bytes.</summary>
    public long Length => to - from;

    /// <summary>How many of them are on the disk, counted from the first.</summary>
    public long Got
    {
        get => Volatile.Read(ref _got);
        set => Volatile.Write(ref _got, value);
    }
}
