using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace NablaGen.Files;

/// <summary>
/// A folder that a long run writes to. It tells whether the path still leads to the same folder: one that was deleted, moved, unmounted or
/// replaced is not the run's any more, even where another has its name.
/// </summary>
internal sealed partial class KnownFolder : IDisposable
{
    // Linux: O_PATH | O_CLOEXEC, AT_FDCWD, AT_EMPTY_PATH, STATX_TYPE | STATX_INO.
    private const int PathOnly = 0x200000 | 0x80000;
    private const int CurrentFolder = -100;
    private const int EmptyPath = 0x1000;
    private const uint Wanted = 0x101;

    // The kernel's struct statx: its size and where the fields lie.
    private const int StatBytes = 256, ModeAt = 28, InodeAt = 32, DeviceAt = 136;
    private const int KindMask = 0xF000, FolderKind = 0x4000;

    // While it is open, no new folder gets the number of this one.
    private readonly SafeFileHandle? _handle;
    private readonly Identity? _identity;

    /// <param name="path">A folder that is there.</param>
    public KnownFolder(string path)
    {
        Path = path;
        if (OperatingSystem.IsLinux())
        {
            _handle = new SafeFileHandle(open(path, PathOnly, 0), ownsHandle: true);
            _identity = _handle.IsInvalid ? null : Read(_handle);
        }
        else
        {
            _identity = IdentityOf(path);
        }
    }

    /// <summary>As it was given.</summary>
    public string Path { get; }

    /// <summary>Whether the path leads to this folder. Where the system tells no identity, any folder there counts.</summary>
    public bool IsThere() => _identity is null ? Directory.Exists(Path) : IdentityOf(Path) == _identity;

    /// <summary>Says that the path does not lead to this folder.</summary>
    public string Missing => $"{Path}: {(Directory.Exists(Path) ? "another folder has its place" : "the folder is not there any more")}: "
        + "it was deleted, moved, unmounted or replaced in the middle of the work";

    /// <summary>Sees that the path leads to this folder.</summary>
    /// <exception cref="NablaGenException">It does not.</exception>
    public void Check()
    {
        if (!IsThere())
        {
            throw new EnvironmentException(Missing);
        }
    }

    public void Dispose() => _handle?.Dispose();

    private static Identity? IdentityOf(string path)
    {
        if (OperatingSystem.IsLinux())
        {
            Span<byte> found = stackalloc byte[StatBytes];
            return statx(CurrentFolder, path, 0, Wanted, found) == 0 ? Parse(found) : null;
        }

        // A folder keeps its time of creation for as long as it lives.
        return Directory.Exists(path) ? new Identity(0, (ulong)Directory.GetCreationTimeUtc(path).Ticks) : null;
    }

    private static Identity? Read(SafeFileHandle handle)
    {
        Span<byte> found = stackalloc byte[StatBytes];
        return statx((int)handle.DangerousGetHandle(), "", EmptyPath, Wanted, found) == 0 ? Parse(found) : null;
    }

    private static Identity? Parse(ReadOnlySpan<byte> found) =>
        (BitConverter.ToUInt16(found[ModeAt..]) & KindMask) == FolderKind
            ? new Identity(BitConverter.ToUInt64(found[DeviceAt..]), BitConverter.ToUInt64(found[InodeAt..]))
            : null;

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags, int mode);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int statx(int folder, string path, int flags, uint wanted, Span<byte> found);

    // The device's number (major and minor together) and the folder's on it.
    private readonly record struct Identity(ulong Device, ulong Number);
}
