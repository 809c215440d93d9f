using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Dit;

/// <summary>Factors that hold for several tokens each: all of a video's, a latent frame's, or one.</summary>
internal static class TokenGroups
{
    /// <summary>x · (1 + scale) + shift. [B, L, C] → [B, L, C]</summary>
    /// <param name="x">Tokens. [B, L, C]</param>
    /// <param name="shift">F groups of L / F tokens. [B, F, C]</param>
    /// <param name="scale">The same. [B, F, C]</param>
    public static Tensor Modulate(Tensor x, Tensor shift, Tensor scale)
    {
        using var scope = NewDisposeScope();
        if (shift.shape[1] == 1)
        {
            return (x * scale.Plus(1)).Plus(shift).MoveToOuterDisposeScope();
        }

        var groups = x.unflatten(1, [shift.shape[1], -1]);
        return (groups * scale.Plus(1).unsqueeze(2)).Plus(shift.unsqueeze(2)).flatten(1, 2).MoveToOuterDisposeScope();
    }

    /// <summary>x · factor. [B, L, C] and [B, F, C] → [B, L, C]</summary>
    public static Tensor Times(Tensor x, Tensor factor)
    {
        using var scope = NewDisposeScope();
        var y = factor.shape[1] == 1 ? x * factor : (x.unflatten(1, [factor.shape[1], -1]) * factor.unsqueeze(2)).flatten(1, 2);
        return y.MoveToOuterDisposeScope();
    }
}
