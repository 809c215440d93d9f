namespace NablaGen.Cuda.Compilation;

/// <summary>Where things lie that can be made again: NABLAGEN_CACHE, XDG_CACHE_HOME/nablagen, ~/.cache/nablagen or %LOCALAPPDATA%\nablagen.</summary>
public static class UserCache
{
    /// <summary>The full path of a folder in it, which need not exist yet.</summary>
    public static string Folder(string name) => Path.Combine(KernelCache.UserFolder(Environment.GetEnvironmentVariable), name);
}
