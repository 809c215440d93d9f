using static TorchSharp.torch;

namespace NablaGen.Attention;

/// <summary>This process's tokens of a video whose layers several GPUs compute, each for a part of the tokens.</summary>
public interface ITokenShare
{
    /// <summary>The order and the blocks of this process's tokens.</summary>
    BlockLayout Layout { get; }

    /// <summary>The first of them among all.</summary>
    int Start { get; }

    /// <summary>All tokens, of which each process has computed its own.</summary>
    /// <param name="tokens">This process's. [B, own tokens, C]</param>
    /// <returns>A new tensor. [B, L, C]</returns>
    Tensor Gather(Tensor tokens);
}
