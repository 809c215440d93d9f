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
    public IPreparedConditioning Prepare(Conditioning conditioning, bool keep) => model.EmbedPrompt(
        conditioning[Conditioning.Text], keep, conditioning.Find(Conditioning.Image), conditioning.Find(Conditioning.Guide),
        conditioning.Find(Conditioning.FirstFrame));

    /// <inheritdoc/>
    public void Hold(Tensor latents, IPreparedConditioning prepared)
    {
        if (((WanPrompt)prepared).FirstFrame is { } first)
        {
            using var scope = NewDisposeScope();
            latents.narrow(2, 0, 1).copy_(first.narrow(0, 0, latents.shape[0]));
        }
    }

    /// <inheritdoc/>
    public void BeginPair(IPreparedConditioning first, IPreparedConditioning second)
    {
        if (run.Attention.Repeats)
        {
            run.Start.Begin((WanPrompt)first, (WanPrompt)second);
        }
    }

    /// <inheritdoc/>
    public EmbeddedStep Embed(Tensor latents, Tensor time, IPreparedConditioning prepared)
    {
        using var scope = NewDisposeScope();
        var prompt = (WanPrompt)prepared;
        var embedded = model.Embed(latents, prompt.FirstFrame is null ? time : TimesOfFrames(time), prompt, run);
        return new EmbeddedStep(
            embedded.Tokens.MoveToOuterDisposeScope(), embedded.Time.MoveToOuterDisposeScope(), embedded.Modulation.MoveToOuterDisposeScope());
    }

    // A frame that is given has no noise: its time is 0. [B] → [B, T']
    private Tensor TimesOfFrames(Tensor time)
    {
        using var scope = NewDisposeScope();
        var times = time.unsqueeze(1).repeat(1, Layout.Time);
        times.narrow(1, 0, 1).zero_();
        return times.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public Tensor RunLayers(EmbeddedStep embedded, IPreparedConditioning prepared) => model.RunLayers(embedded, (WanPrompt)prepared, run);

    /// <inheritdoc/>
    public Tensor RunHead(Tensor tokens, EmbeddedStep embedded) => model.RunHead(tokens, embedded, run);

    /// <inheritdoc/>
    public void Dispose() => run.Dispose();
}
