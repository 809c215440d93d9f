using NablaGen.Models.Streaming;
using NablaGen.Tensors;

namespace NablaGen.Tests.Models.Streaming;

/// <summary>
/// Uploads as plain copies, which sees to the rules: nothing is copied over a block in use, nothing is used before it was awaited. A
/// copy is done only when it is awaited, as late as a device might do it.
/// </summary>
internal sealed class PlainUploads(int slots, IReadOnlyList<ParameterPool> hosts, List<string> log) : ILayerUploads
{
    private readonly Action?[] _pending = new Action?[slots];
    private readonly bool[] _used = new bool[slots];

    public void Copy(int slot, ParameterPool host, ParameterPool device)
    {
        Assert.False(_used[slot], $"slot {slot} is in use");
        log.Add($"copy {Streamed(host)} to {slot}");
        _pending[slot] = () => device.CopyFrom(host);
    }

    public void Await(int slot)
    {
        log.Add($"use {slot}");
        _pending[slot]?.Invoke();
        _pending[slot] = null;
        _used[slot] = true;
    }

    public void Release(int slot) => _used[slot] = false;

    public void Dispose() => log.Add("disposed");

    // The host's pools in the order of the layers that are streamed.
    private int Streamed(ParameterPool host) => hosts.ToList().IndexOf(host);
}
