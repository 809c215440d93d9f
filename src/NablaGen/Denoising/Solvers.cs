namespace NablaGen.Denoising;

/// <summary>The solvers by name.</summary>
public static class Solvers
{
    private static readonly Dictionary<string, Func<int, double, ISolver>> Makers = new()
    {
        ["unipc"] = (steps, shift) => new UniPcSolver(steps, shift),
        ["dpm++"] = (steps, shift) => new DpmPlusPlusSolver(steps, shift),
        ["euler"] = (steps, shift) => new EulerSolver(steps, shift),
    };

    /// <summary>Every name that <see cref="Create"/> takes.</summary>
    public static IReadOnlyCollection<string> Names => Makers.Keys;

    /// <summary>A fresh solver.</summary>
    /// <param name="name"><c>unipc</c>, <c>dpm++</c> or <c>euler</c>.</param>
    /// <param name="steps">Solver steps, at least 1.</param>
    /// <param name="shift">The schedule's shift, above 0.</param>
    /// <exception cref="InvalidRequestException">No solver has that name.</exception>
    public static ISolver Create(string name, int steps, double shift) => Makers.TryGetValue(name, out var make)
        ? make(steps, shift)
        : throw new InvalidRequestException($"solver '{name}' is not known: use {string.Join(", ", Names)}");
}
