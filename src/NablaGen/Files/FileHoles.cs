using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace NablaGen.Files;

/// <summary>Stretches of a file that have a place and no data: they read as zeros. The file system knows them, so nothing is read.</summary>
internal static partial class FileHoles
{
    // SEEK_DATA and SEEK_HOLE of Linux.
    private const int Data = 3, Hole = 4;
    private const int MostHoles = 10_000;

    /// <summary>Where the first hole begins that is long enough; null if there is none, or where the system does not tell.</summary>
    /// <param name="file">The open file.</param>
    /// <param name="length">Its length.</param>
    /// <param name="least">The shortest hole that counts, in bytes.</param>
    public static long? Find(SafeFileHandle file, long length, long least)
    {
        long at = 0;
        for (var i = 0; i < MostHoles && OperatingSystem.IsLinux(); i++)
        {
            // Each file has a hole at its end; what cannot be told is -1.
            var hole = lseek(file, at, Hole);
            if (hole < 0 || hole >= length)
            {
                return null;
            }

            // -1: no data behind it.
            var data = lseek(file, hole, Data);
            at = data < 0 ? length : data;
            if (at - hole >= least)
            {
                return hole;
            }
        }

        return null;
    }

    [LibraryImport("libc")]
    private static partial long lseek(SafeFileHandle file, long offset, int whence);
}
