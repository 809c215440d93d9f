using NablaGen.Attention;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Dit;

/// <summary>Two experts in use for latents of one size: each step's timestep says which.</summary>
/// <param name="experts">The experts; stay the caller's.</param>
/// <param name="latents">The latents' shape. [C, T', h, w]</param>
/// <param name="attention">The self-attention of every layer; stays the caller's.</param>
/// <param name="cancellation">Stops a pass between two layers.</param>
internal sealed class WanExpertsRun(WanExperts experts, long[] latents, IAttention attention, CancellationToken cancellation) : ITransformerRun
{
    // Of the reference's schedule.
    private const int Timesteps = 1000;

    private readonly List<Told> _told = [];
    private ITransformerRun? _run;
    private bool _isHigh;

    /// <inheritdoc/>
    public int Step { get; set; }

    /// <inheritdoc/>
    public BlockLayout Layout { get; } = experts.Traits.LayoutOf(latents);

    private ITransformerRun Current => _run ?? throw new InvalidOperationException("no step has begun, which says whose turn it is");

    /// <inheritdoc/>
    public void BeginStep(int step, double timestep)
    {
        var isHigh = timestep >= experts.Traits.Boundary!.Value * Timesteps;
        if (_run is null || isHigh != _isHigh)
        {
            EndTurn();
            _isHigh = isHigh;
            _run = experts.Use(isHigh).Begin(latents, attention, cancellation);
        }

        Step = _run.Step = step;
    }

    /// <inheritdoc/>
    public IPreparedConditioning Prepare(Conditioning conditioning, bool keep)
    {
        var told = new Told(conditioning.Alias(), keep);
        _told.Add(told);
        return told;
    }

    /// <inheritdoc/>
    public void BeginPair(IPreparedConditioning first, IPreparedConditioning second) => Current.BeginPair(((Told)first).For(Current), ((Told)second).For(Current));

    /// <inheritdoc/>
    public EmbeddedStep Embed(Tensor latents, Tensor time, IPreparedConditioning prepared) => Current.Embed(latents, time, ((Told)prepared).For(Current));

    /// <inheritdoc/>
    public Tensor RunLayers(EmbeddedStep embedded, IPreparedConditioning prepared) => Current.RunLayers(embedded, ((Told)prepared).For(Current));

    /// <inheritdoc/>
    public Tensor RunHead(Tensor tokens, EmbeddedStep embedded) => Current.RunHead(tokens, embedded);

    /// <inheritdoc/>
    public void Dispose() => EndTurn();

    private void EndTurn()
    {
        foreach (var told in _told)
        {
            told.Forget();
        }

        _run?.Dispose();
        _run = null;
    }

    /// <summary>A conditioning, and what the expert whose turn it is has made of it.</summary>
    private sealed class Told(Conditioning conditioning, bool keep) : IPreparedConditioning
    {
        private IPreparedConditioning? _prepared;

        public IPreparedConditioning For(ITransformerRun run) => _prepared ??= run.Prepare(conditioning, keep);

        public void Forget()
        {
            _prepared?.Dispose();
            _prepared = null;
        }

        public void Dispose()
        {
            Forget();
            conditioning.Dispose();
        }
    }
}
