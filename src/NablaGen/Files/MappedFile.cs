using System.Buffers;
using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;

namespace NablaGen.Files;

/// <summary>A file read through memory maps of a piece at a time, so that little of it is ever resident.</summary>
internal sealed unsafe class MappedFile : IDisposable
{
    /// <summary>The most bytes that are mapped at once.</summary>
    public const int PieceBytes = 8 << 20;

    // What is no larger is copied: a map is two calls of the system and a fault a page.
    private const int CopiedBytes = 1 << 16;

    private readonly FileStream _stream;
    private MemoryMappedFile? _map;

    private MappedFile(string path, FileStream stream)
    {
        Path = path;
        _stream = stream;
        Length = stream.Length;
    }

    /// <summary>A use of one piece: <paramref name="count"/> bytes at <paramref name="start"/>; <paramref name="done"/> came before.</summary>
    public delegate void PieceUser(byte* start, long count, long done);

    /// <summary>The file's path, as given.</summary>
    public string Path { get; }

    /// <summary>The open file.</summary>
    public SafeFileHandle Handle => _stream.SafeFileHandle;

    /// <summary>Bytes of the file when it was opened.</summary>
    public long Length { get; }

    /// <summary>Opens a file.</summary>
    /// <exception cref="NablaGenException">It does not exist or can't be read.</exception>
    public static MappedFile Open(string path) => new(path, OpenStream(path));

    /// <summary>Opens a file for reading, without a buffer of its own.</summary>
    /// <exception cref="NablaGenException">It does not exist or can't be read.</exception>
    public static FileStream OpenStream(string path)
    {
        if (Directory.Exists(path))
        {
            throw new NablaGenException($"{path}: expected a file, found a folder.");
        }

        if (path.Length == 0)
        {
            throw new NablaGenException("the name of a file is empty.");
        }

        try
        {
            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, 1);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new NablaGenException(new FileInfo(path).LinkTarget is { } target ? Line.Of($"{path}: is a link to {target}, which is not there.") : $"{path}: no such file.", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new NablaGenException(Line.Of($"{path}: can't be opened: {e.Message}"), e);
        }
    }

    /// <summary>Reads a few bytes, such as a header, which must lie inside the file.</summary>
    public void Read(long offset, Span<byte> target)
    {
        try
        {
            while (!target.IsEmpty)
            {
                var count = RandomAccess.Read(_stream.SafeFileHandle, target, offset);
                if (count == 0)
                {
                    throw new EnvironmentException($"{Path}: was truncated while in use: expected {Length} bytes, found {offset}.");
                }

                target = target[count..];
                offset += count;
            }
        }
        catch (IOException e)
        {
            throw new NablaGenException(Line.Of($"{Path}: can't be read: {e.Message}"), e);
        }
    }

    /// <summary>
    /// Maps a range inside the file, a piece at a time; each is unmapped before the next, since mapped pages count as resident. A small range is
    /// read into a buffer.
    /// </summary>
    public void Map(long offset, long count, PieceUser user)
    {
        // Reading a map past the end of its file kills the process, so check that the file still has its length.
        var length = RandomAccess.GetLength(_stream.SafeFileHandle);
        if (length < offset + count)
        {
            throw new EnvironmentException($"{Path}: was truncated while in use: expected {Length} bytes, found {length}.");
        }

        if (count <= CopiedBytes)
        {
            UseCopy(offset, (int)count, user);
            return;
        }

        try
        {
            _map ??= MemoryMappedFile.CreateFromFile(
                _stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
            for (long done = 0; done < count; done += PieceBytes)
            {
                var piece = Math.Min(PieceBytes, count - done);
                using var view = _map.CreateViewAccessor(offset + done, piece, MemoryMappedFileAccess.Read);
                byte* start = null;
                view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
                try
                {
                    // PointerOffset: a view starts at a page.
                    user(start + view.PointerOffset, piece, done);
                }
                finally
                {
                    view.SafeMemoryMappedViewHandle.ReleasePointer();
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new NablaGenException(Line.Of($"{Path}: can't be mapped: {e.Message}"), e);
        }
    }

    private void UseCopy(long offset, int count, PieceUser user)
    {
        if (count == 0)
        {
            return;
        }

        var bytes = ArrayPool<byte>.Shared.Rent(count);
        try
        {
            Read(offset, bytes.AsSpan(0, count));
            fixed (byte* start = bytes)
            {
                user(start, count, 0);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    /// <summary>Closes the file.</summary>
    public void Dispose()
    {
        _map?.Dispose();
        _stream.Dispose();
    }
}
