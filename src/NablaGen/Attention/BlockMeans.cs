using static TorchSharp.torch;

namespace NablaGen.Attention;

/// <summary>Means of queries and keys over each block of tokens, NABLA's first step, where a pass before has made them already.</summary>
/// <param name="Q">float32. [B · H, blocks, D]</param>
/// <param name="K">float32. [B · H, blocks, D]</param>
public sealed record BlockMeans(Tensor Q, Tensor K);
