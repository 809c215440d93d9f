namespace NablaGen.Denoising;

/// <summary>The step caches by name.</summary>
public static class StepCaches
{
    /// <summary>The name of computing every step in full.</summary>
    public const string None = "none";

    private static readonly Dictionary<string, Func<IStepCache>> Makers = new(StringComparer.Ordinal)
    {
        [None] = () => new NoStepCache(),
    };

    /// <summary>Every name that <see cref="Create"/> takes.</summary>
    public static IReadOnlyCollection<string> Names => Makers.Keys;

    /// <summary>A fresh cache for one pass of a run's steps.</summary>
    /// <exception cref="InvalidRequestException">No cache has that name.</exception>
    public static IStepCache Create(string name) => Makers.TryGetValue(name, out var make)
        ? make()
        : throw new InvalidRequestException($"step cache '{name}' is not known: use {string.Join(", ", Names)}");
}
