using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Dit;

/// <summary>
/// What a step's passes with and without the prompt have in common: until the first layer attends to the prompt both compute the same, so that the
/// second takes the first's self-attention as it is.
/// </summary>
internal sealed class SharedStart : IDisposable
{
    private (WanPrompt First, WanPrompt Second)? _pair;
    private (WanPrompt First, WanPrompt Second, bool Value)? _alike;
    private Tensor? _branch;

    /// <summary>Two passes of the same latents at the same time follow. Nothing is shared where there is no memory for it, or where they see other pictures.</summary>
    /// <param name="first">What the first is told; stays the caller's.</param>
    /// <param name="second">What the second is told; stays the caller's.</param>
    public void Begin(WanPrompt first, WanPrompt second)
    {
        Forget();
        if (first.IsKept && second.IsKept && AreAlike(first, second))
        {
            _pair = (first, second);
        }
    }

    /// <summary>The first layer's self-attention, where the pass before has kept it for this one. [B, L, C]</summary>
    /// <param name="prompt">What this pass is told.</param>
    /// <param name="scope">Owns it from now on.</param>
    /// <returns>Null where it is still to be computed.</returns>
    public Tensor? Take(WanPrompt prompt, DisposeScope scope)
    {
        if (_branch is null || !ReferenceEquals(prompt, _pair?.Second))
        {
            return null;
        }

        var branch = _branch;
        scope.Attach(branch);
        (_branch, _pair) = (null, null);
        return branch;
    }

    /// <summary>Keeps the first layer's self-attention where the pass that follows can use it.</summary>
    /// <param name="prompt">What this pass is told.</param>
    /// <param name="branch">The self-attention's output; stays the caller's. [B, L, C]</param>
    /// <param name="isOverwritten">Whether the caller may overwrite it.</param>
    public void Offer(WanPrompt prompt, Tensor branch, bool isOverwritten)
    {
        if (ReferenceEquals(prompt, _pair?.First))
        {
            _branch?.Dispose();
            _branch = (isOverwritten ? branch.clone() : branch.alias()).DetachFromDisposeScope();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Forget();

    private void Forget()
    {
        _branch?.Dispose();
        (_branch, _pair) = (null, null);
    }

    // What stands beside or in place of the noise. Looked at once, for a GPU is waited for.
    private bool AreAlike(WanPrompt first, WanPrompt second)
    {
        if (_alike is not { } known || !ReferenceEquals(known.First, first) || !ReferenceEquals(known.Second, second))
        {
            _alike = known = (first, second, AreAlike(first.Guide, second.Guide) && AreAlike(first.FirstFrame, second.FirstFrame));
        }

        return known.Value;
    }

    private static bool AreAlike(Tensor? a, Tensor? b) => a is null || b is null ? a is null && b is null : a.shape.SequenceEqual(b.shape) && a.eq(b).all().item<bool>();
}
