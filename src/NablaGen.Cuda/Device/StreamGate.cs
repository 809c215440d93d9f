using System.Runtime.InteropServices;
using NablaGen.Cuda.Native;

namespace NablaGen.Cuda.Device;

/// <summary>Holds a stream's work back, so that the host can queue all that is to be timed before any of it starts.</summary>
internal sealed unsafe class StreamGate : IDisposable
{
    // A full queue makes the host wait for the stream; then the gate opens by itself.
    private static readonly TimeSpan Longest = TimeSpan.FromMilliseconds(200);

    private readonly ManualResetEventSlim _open = new(false);

    /// <summary>Work put on the stream from here on waits for <see cref="Open"/>.</summary>
    public StreamGate(CudaDevice device, nint stream)
    {
        device.MakeCurrent();
        var self = GCHandle.Alloc(this);
        try
        {
            Driver.Check(Driver.cuLaunchHostFunc(stream, &Wait, GCHandle.ToIntPtr(self)), "cuLaunchHostFunc");
        }
        catch
        {
            self.Free();
            throw;
        }
    }

    /// <summary>Lets the work begin.</summary>
    public void Open() => _open.Set();

    /// <summary>Opens the gate. What it waits on is freed by the garbage collector, for the driver's thread may still be inside.</summary>
    public void Dispose() => Open();

    [UnmanagedCallersOnly]
    private static void Wait(nint argument)
    {
        var self = GCHandle.FromIntPtr(argument);
        ((StreamGate)self.Target!)._open.Wait(Longest);
        self.Free();
    }
}
