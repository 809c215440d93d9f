using NablaGen.Attention;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Dit;

/// <summary>Wan's transformer in use for latents of one size.</summary>
/// <param name="model">The transformer; stays the caller's.</param>
/// <param name="run">Layout, angles and attention; this one's from now on.</param>
internal sealed class WanRun(WanModel model, DitRun run) : ITransformerRun
{
    /// <inheritdoc/>
    public int Step
    {
        get => run.Step;
        set => run.Step = value;
    }

    /// <inheritdoc/>
    public BlockLayout Layout => run.Layout;

    /// <inheritdoc/>
    public IPreparedConditioning Prepare(Conditioning conditioning, bool keep) => model.EmbedPrompt(conditioning[Conditioning.Text], keep);

    /// <inheritdoc/>
    public EmbeddedStep Embed(Tensor latents, Tensor time, IPreparedConditioning prepared) => model.Embed(latents, time, run);

    /// <inheritdoc/>
    public Tensor RunLayers(EmbeddedStep embedded, IPreparedConditioning prepared) => model.RunLayers(embedded, (WanPrompt)prepared, run);

    /// <inheritdoc/>
    public Tensor RunHead(Tensor tokens, EmbeddedStep embedded) => model.RunHead(tokens, embedded, run);

    /// <inheritdoc/>
    public void Dispose() => run.Dispose();
}
