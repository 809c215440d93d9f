using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;

namespace NablaGen.Tests.Memory;

/// <summary>Errors as TorchSharp and .NET raise them.</summary>
[SuppressMessage("Usage", "CA2201", Justification = "what the runtime raises is simulated")]
internal static class NativeErrors
{
    public static Exception LibTorch(string message) => new ExternalException(message);

    public static Exception NoMemory() => new OutOfMemoryException();
}
