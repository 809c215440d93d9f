using System.Runtime.InteropServices;

namespace NablaGen.Tensors;

/// <summary>The process's own environment: .NET keeps a copy of it, and native code does not see what is set there.</summary>
internal static partial class NativeEnvironment
{
    private const int KeepExisting = 0;
    private const int Overwrite = 1;

    /// <summary>Sets a variable that the user has not set, before a library that reads it is loaded. Only with glibc; elsewhere nothing happens.</summary>
    public static void SetDefault(string name, string value) => Set(name, value, KeepExisting);

    /// <summary>Sets a variable, whatever it holds. Only with glibc; elsewhere nothing happens.</summary>
    public static void Set(string name, string value) => Set(name, value, Overwrite);

    private static void Set(string name, string value, int overwrite)
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        try
        {
            _ = setenv(name, value, overwrite);
        }
        catch (Exception error) when (error is EntryPointNotFoundException or DllNotFoundException)
        {
            // Not glibc: all is as before.
        }
    }

    [LibraryImport("libc.so.6", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int setenv(string name, string value, int overwrite);
}
