namespace NablaGen;

/// <summary>The version of this library.</summary>
public static class NablaGenVersion
{
    /// <summary>Major.minor.patch, such as 0.1.0.</summary>
    public static string Text { get; } = typeof(NablaGenVersion).Assembly.GetName().Version!.ToString(3);
}
