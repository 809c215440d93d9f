namespace NablaGen.Tests.Architecture;

/// <summary>Code that <see cref="DependencyTests"/> tries the reader of compiled code on.</summary>
internal sealed class ReaderSample
{
    public static Func<double, double> Lambda(double by) => x => Math.Cbrt(x + by);

    public static async Task<double> Async(double x)
    {
        await Task.Yield();
        return Math.Log2(x);
    }

    public static int Signature(UriBuilder? uri) => uri is null ? 0 : 1;
}
