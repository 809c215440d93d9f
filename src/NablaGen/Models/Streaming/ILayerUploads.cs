using NablaGen.Tensors;

namespace NablaGen.Models.Streaming;

/// <summary>Copies weights from the host's memory into slots on the device, in a safe order and without making the host wait.</summary>
internal interface ILayerUploads : IDisposable
{
    /// <summary>Fills a slot, once the work that <see cref="Release"/> marked is done.</summary>
    void Copy(int slot, ParameterPool host, ParameterPool device);

    /// <summary>The device's work from here on waits for the slot's last copy.</summary>
    void Await(int slot);

    /// <summary>The device's work so far is the last that uses what the slot holds.</summary>
    void Release(int slot);
}
