using System.Reflection;
using NablaGen.Cli;
using NablaGen.Cuda.Device;
using NablaGen.Training.Dit;

namespace NablaGen.Tests.Architecture;

/// <summary>The assemblies that src/ builds.</summary>
internal static class SourceAssemblies
{
    /// <summary>NablaGen, the library.</summary>
    public static Assembly Core { get; } = typeof(NablaGenException).Assembly;

    /// <summary>NablaGen.Cuda.</summary>
    public static Assembly Cuda { get; } = typeof(CudaDevice).Assembly;

    /// <summary>NablaGen.Training.</summary>
    public static Assembly Training { get; } = typeof(DitTrainer).Assembly;

    /// <summary>NablaGen.Cli.</summary>
    public static Assembly Cli { get; } = typeof(ExitCode).Assembly;

    /// <summary>All of them.</summary>
    public static IReadOnlyList<Assembly> All { get; } = [Cuda, Core, Training, Cli];
}
