using System.Collections;

namespace NablaGen.Weights.Lora;

/// <summary>LoRAs in the order in which they were named; equal where all are.</summary>
/// <param name="loras">The LoRAs.</param>
public sealed class LoraList(params IReadOnlyList<LoraChoice> loras) : IReadOnlyList<LoraChoice>, IEquatable<LoraList>
{
    /// <summary>No LoRA.</summary>
    public static LoraList Empty { get; } = new();

    /// <inheritdoc/>
    public int Count => loras.Count;

    /// <inheritdoc/>
    public LoraChoice this[int index] => loras[index];

    /// <summary>The same with the SHA-256 of what is on disk now.</summary>
    /// <param name="cancellation">Stops the reading.</param>
    /// <exception cref="NablaGenException">A file is not there.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public LoraList Identified(CancellationToken cancellation = default) => new([.. loras.Select(lora => lora.Identified(cancellation))]);

    /// <summary>Each at the place where it is found: see <see cref="LoraChoice.FoundNear"/>.</summary>
    /// <param name="modelPath">The model's folder or file.</param>
    public LoraList FoundNear(string modelPath) => new([.. loras.Select(lora => lora.FoundNear(modelPath))]);

    /// <summary>The same by names alone: what the files are does not depend on where they lie.</summary>
    public LoraList WithoutFolders() => new([.. loras.Select(lora => lora with { Path = lora.Name })]);

    /// <inheritdoc/>
    public IEnumerator<LoraChoice> GetEnumerator() => loras.GetEnumerator();

    /// <inheritdoc/>
    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <inheritdoc/>
    public bool Equals(LoraList? other) => other is not null && this.SequenceEqual(other);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as LoraList);

    /// <inheritdoc/>
    public override int GetHashCode() => this.Aggregate(Count, HashCode.Combine);

    /// <summary>As <c>--lora</c> takes them.</summary>
    public override string ToString() => string.Join(" ", loras);
}
