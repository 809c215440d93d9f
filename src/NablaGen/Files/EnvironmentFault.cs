namespace NablaGen.Files;

/// <summary>Tells the machine's faults, such as a full disk, from those of what is being made.</summary>
internal static class EnvironmentFault
{
    /// <summary>The system's number for a full disk (ENOSPC).</summary>
    public const int NoSpace = 28;

    // ENOMEM, ENXIO, EIO, ENODEV, EMFILE, ENFILE, EFBIG, EROFS, ENOTCONN, ETIMEDOUT, EHOSTDOWN, EHOSTUNREACH, ESTALE, EDQUOT.
    private static readonly int[] Numbers = [12, 6, 5, 19, 24, 23, 27, NoSpace, 30, 107, 110, 112, 113, 116, 122];

    // ERROR_WRITE_PROTECT, NOT_READY, CRC, WRITE_FAULT, DEV_NOT_EXIST, NETNAME_DELETED, DISK_FULL, DISK_QUOTA_EXCEEDED, IO_DEVICE, HANDLE_DISK_FULL.
    private static readonly int[] WindowsCodes = [19, 21, 23, 29, 55, 64, 112, 1295, 1117, 39];

    /// <summary>
    /// Whether an error, or what caused it, is of the surroundings: a file system that is full, read-only, gone or broken, a file that
    /// somebody took away, a program that somebody ended.
    /// </summary>
    public static bool Is(Exception error)
    {
        for (Exception? one = error; one is not null; one = one.InnerException)
        {
            if (one is EnvironmentException or FileNotFoundException or DirectoryNotFoundException || IsTooLarge(one) || (one is IOException && IsOfDisk(one.HResult)))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether a file would have become longer than the system lets it: .NET says so of EFBIG by an error of arguments, as if a length had been given.</summary>
    public static bool IsTooLarge(Exception error) => error is ArgumentOutOfRangeException { ParamName: "value" };

    private static bool IsOfDisk(int code) => OperatingSystem.IsWindows()
        ? (code & 0xFFFF0000) == 0x80070000 && WindowsCodes.Contains(code & 0xFFFF)
        : Numbers.Contains(code);
}
