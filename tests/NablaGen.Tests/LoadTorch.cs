using System.Runtime.CompilerServices;
using NablaGen.Tensors;

namespace NablaGen.Tests;

/// <summary>The tests are a program: libtorch is loaded before anything touches it.</summary>
internal static class LoadTorch
{
    [ModuleInitializer]
    public static void Load() => TorchRuntime.Load();
}
