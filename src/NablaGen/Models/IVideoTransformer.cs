using NablaGen.Attention;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Models;

/// <summary>A video diffusion transformer with its weights: noisy latents, time and conditioning → velocity.</summary>
public interface IVideoTransformer : IDisposable
{
    /// <summary>Its sizes.</summary>
    TransformerTraits Traits { get; }

    /// <summary>The transformer as a module, for its parameters.</summary>
    nn.Module Module { get; }

    /// <summary>Where it is, and the type of its large matrix products.</summary>
    ModuleOptions Options { get; }

    /// <summary>What stays the same over a run's steps.</summary>
    /// <param name="latents">The latents' shape. [C, T', h, w]</param>
    /// <param name="attention">The self-attention of every layer; stays the caller's.</param>
    /// <param name="cancellation">Stops a pass between two layers.</param>
    ITransformerRun Begin(ReadOnlySpan<long> latents, IAttention attention, CancellationToken cancellation = default);
}

/// <summary>
/// A transformer in use for latents of one size. Its forward pass has three parts (embedding, layers, head), which a step cache
/// (<c>IStepCache</c>) calls separately.
/// </summary>
public interface ITransformerRun : IDisposable
{
    /// <summary>The current solver step, from 0; the caller sets it.</summary>
    int Step { get; set; }

    /// <summary>A solver step begins: its number, and its timestep for all videos, by which a model of several experts chooses.</summary>
    /// <param name="step">The step, from 0.</param>
    /// <param name="timestep">Timestep, 0 to 1000.</param>
    void BeginStep(int step, double timestep) => Step = step;

    /// <summary>The tokens' order in the layers.</summary>
    BlockLayout Layout { get; }

    /// <summary>Puts what the conditioning fixes, such as a given first frame, into latents, whatever a solver's step has made of it.</summary>
    /// <param name="latents">Latents at any time, which are overwritten where something is fixed. [B, C, T', h, w]</param>
    /// <param name="prepared">What <see cref="Prepare"/> gave; its batch may be larger, with this one's videos first.</param>
    void Hold(Tensor latents, IPreparedConditioning prepared)
    {
    }

    /// <summary>Computes what depends on the conditioning alone.</summary>
    /// <param name="conditioning">What the model is told, on the model's device.</param>
    /// <param name="keep">Whether what each layer computes from it is kept for the next step; otherwise it is computed again each time, to the same bits.</param>
    /// <returns>The caller's; valid as long as this run.</returns>
    IPreparedConditioning Prepare(Conditioning conditioning, bool keep);

    /// <summary>
    /// Two passes of the step follow, of the same latents at the same time, which are told different things: what both have in common may be computed once.
    /// </summary>
    /// <param name="first">What the first is told, as <see cref="Prepare"/> gave it.</param>
    /// <param name="second">What the second is told.</param>
    void BeginPair(IPreparedConditioning first, IPreparedConditioning second)
    {
    }

    /// <summary>Latents and time → tokens.</summary>
    /// <param name="latents">Noisy latents, as <see cref="Hold"/> leaves them. [B, C, T', h, w]</param>
    /// <param name="time">Timestep, 0 to 1000. [B]</param>
    /// <param name="prepared">What <see cref="Prepare"/> gave.</param>
    EmbeddedStep Embed(Tensor latents, Tensor time, IPreparedConditioning prepared);

    /// <summary>All layers. Overwrites the embedded tokens.</summary>
    /// <returns>float32. [B, L, C]</returns>
    /// <exception cref="OperationCanceledException">The run was cancelled.</exception>
    Tensor RunLayers(EmbeddedStep embedded, IPreparedConditioning prepared);

    /// <summary>Tokens → velocity.</summary>
    /// <param name="tokens">What the layers gave, or what stands for it. [B, L, C]</param>
    /// <param name="embedded">The step.</param>
    /// <returns>float32. [B, C, T', h, w]</returns>
    Tensor RunHead(Tensor tokens, EmbeddedStep embedded);
}

/// <summary>A step's input after the embedding.</summary>
/// <param name="Tokens">The latents' tokens in the layers' order, float32; the layers overwrite them. [B, L, C]</param>
/// <param name="Time">The time's embedding, float32: F times for L / F tokens each, one after the other; 1 for the whole video. [B, F, C]</param>
/// <param name="Modulation">The time's modulation of a layer, before the layer's own is added, float32. [B, F, 6, C]</param>
public readonly record struct EmbeddedStep(Tensor Tokens, Tensor Time, Tensor Modulation);

/// <summary>The part of a model's passes that depends on the conditioning alone; only its model can read it.</summary>
public interface IPreparedConditioning : IDisposable;
