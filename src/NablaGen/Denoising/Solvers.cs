namespace NablaGen.Denoising;

/// <summary>The solvers by name.</summary>
public static class Solvers
{
    private static readonly Dictionary<string, Func<int, double, IReadOnlyList<double>?, ISolver>> Makers = new()
    {
        ["unipc"] = (steps, shift, timesteps) => new UniPcSolver(steps, shift, timesteps),
        ["dpm++"] = (steps, shift, timesteps) => new DpmPlusPlusSolver(steps, shift, timesteps),
        ["euler"] = (steps, shift, timesteps) => new EulerSolver(steps, shift, timesteps),
        ["flow-euler"] = (steps, shift, timesteps) => new FlowEulerSolver(steps, shift, timesteps),
        ["x0"] = (steps, shift, timesteps) => new X0Solver(steps, shift, timesteps),
    };

    /// <summary>Every name that <see cref="Create"/> takes.</summary>
    public static IReadOnlyCollection<string> Names => Makers.Keys;

    /// <summary>A fresh solver.</summary>
    /// <param name="name"><c>unipc</c>, <c>dpm++</c>, <c>euler</c>, <c>flow-euler</c> or <c>x0</c>.</param>
    /// <param name="steps">Solver steps, at least 1.</param>
    /// <param name="shift">The schedule's shift, above 0.</param>
    /// <param name="timesteps">Timesteps before the shift, falling; null for even ones. [steps]</param>
    /// <exception cref="InvalidRequestException">No solver has that name.</exception>
    public static ISolver Create(string name, int steps, double shift, IReadOnlyList<double>? timesteps = null) => Makers.TryGetValue(name, out var make)
        ? make(steps, shift, timesteps)
        : throw new InvalidRequestException($"solver '{name}' is not known: use {string.Join(", ", Names)}");
}
