using static TorchSharp.torch;

namespace NablaGen.Training.Dit.Ops;

/// <summary>What the norm of queries or keys takes beside tensors with a gradient.</summary>
/// <param name="Heads">H.</param>
/// <param name="Table">Cosine and sine of each token's angles, float32; null for no rotation. It must outlive the backward pass. [L, D / 2, 2]</param>
/// <param name="Epsilon">Added to the mean square.</param>
internal sealed record HeadsCall(int Heads, Tensor? Table, double Epsilon);
