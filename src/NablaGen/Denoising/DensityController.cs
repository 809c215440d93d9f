using NablaGen.Attention;
using NablaGen.Attention.Cpu;
using NablaGen.Models;
using static TorchSharp.torch;

namespace NablaGen.Denoising;

/// <summary>
/// Holds the mean density of a run at a target by adapting NABLA's threshold between its steps. The same inputs give the same thresholds.
/// </summary>
/// <remarks>
/// A pass before the first sparse step shows how sparse each threshold makes this video (<see cref="Curve"/>). Each step then shows how far
/// the video that forms has moved from that curve, by the log-odds of its density, and the next threshold allows for it. What a step is off
/// is made up for by those that are left, so that the mean meets the target. The first steps, which decide what is shown, lie a little above
/// it.
/// </remarks>
public sealed class DensityController : ISamplingObserver
{
    // By how much, for which part of the steps.
    private const double Early = 1.1;
    private const double EarlyPart = 0.25;

    // The next step moves about half as far as the last one did.
    private const double Persistence = 0.5;

    // Beyond these a density is all or nothing.
    private const double Limit = 9;

    // How far a typical model's density lies below its threshold: nabla-0.7 keeps about 0.45.
    private const double TypicalShift = 1;

    private readonly double _target;
    private readonly int _steps;
    private readonly int _denseSteps;
    private readonly double _denseShare;
    private readonly int _every;
    private readonly List<Lazy<KeptStatistics>> _kept = [];
    private int _denseSites;
    private double _sum;
    private int _done;
    private double? _moved;

    /// <summary>A controller for one run.</summary>
    /// <param name="target">The mean density to hold over all layers, heads and steps, above <see cref="Least"/> and at most 1.</param>
    /// <param name="expression">What is kept; its threshold is that of the pass that shows the curve.</param>
    /// <param name="steps">Solver steps.</param>
    /// <param name="denseSteps">How many of them are dense.</param>
    /// <param name="denseShare">The share of the layers that is dense.</param>
    /// <param name="every">Steps that a mask serves: between them a threshold has no effect, so it stays.</param>
    public DensityController(double target, AttentionExpression expression, int steps, int denseSteps, double denseShare, int every = 1)
    {
        (_target, _steps, _denseSteps, _denseShare, _every) = (target, steps, denseSteps, denseShare, every);
        Threshold = expression.Threshold!.Value;
        Curve = new DensityCurve(expression);
    }

    /// <summary>The controller of a run; null where there is no target, or its thresholds are known.</summary>
    /// <param name="settings">The run.</param>
    /// <param name="model">The transformer.</param>
    public static DensityController? For(SamplingSettings settings, TransformerTraits model) =>
        settings is { TargetDensity: { } target, Thresholds: null, Attention.Threshold: not null }
            ? new DensityController(target, settings.Attention, settings.Steps, settings.DenseSteps, (double)settings.DenseLayers / model.Layers, settings.MaskEvery)
            : null;

    /// <summary>The densities by threshold of the pass before the first sparse step.</summary>
    public DensityCurve Curve { get; }

    /// <summary>Whether that pass is made.</summary>
    public bool IsReady { get; private set; }

    /// <summary>The threshold of the current step.</summary>
    public double Threshold { get; private set; }

    /// <summary>The first threshold, where nothing is known of the model.</summary>
    public static double FirstThreshold(double target) => Math.Round(1 / (1 + Math.Exp(-LogOdds(target) - TypicalShift)), 2);

    /// <summary>The mean density that is left when NABLA keeps as little as it can: one block a row or its floor, the window, the dense layers.</summary>
    /// <param name="expression">What to keep.</param>
    /// <param name="layout">The blocks.</param>
    /// <param name="layers">Layers of the transformer.</param>
    /// <param name="denseLayers">How many of them are dense.</param>
    public static double Floor(AttentionExpression expression, BlockLayout layout, int layers, int denseLayers)
    {
        var blocks = (double)layout.Blocks;
        var least = (expression.RolaShare is null ? Math.Min(expression.Top ?? 1, blocks) : expression.RolaBlocks(layout.Blocks)) / blocks;
        var sparse = expression.Window is { } window ? Math.Max(least, StaMask.KeyBlocks(layout, window).KeyBlocks.Length / (blocks * blocks)) : least;
        return (denseLayers + (layers - denseLayers) * sparse) / layers;
    }

    /// <summary>The least mean over a run some of whose steps are dense.</summary>
    /// <param name="floor">That of a sparse step: see <see cref="Floor"/>.</param>
    /// <param name="steps">Solver steps.</param>
    /// <param name="denseSteps">How many of them are dense.</param>
    public static double Least(double floor, int steps, int denseSteps) => (denseSteps + ((steps - denseSteps) * floor)) / steps;

    /// <inheritdoc/>
    public void OnDense(AttentionSite site) => _denseSites++;

    /// <inheritdoc/>
    public void OnSparse(AttentionSite site, IKeptBlocks kept) => _kept.Add(kept.Statistics);

    /// <summary>The curve is there: finds the first threshold.</summary>
    public void Begin()
    {
        IsReady = true;
        Aim();
    }

    /// <inheritdoc/>
    public void OnStep(int step, Tensor latents)
    {
        var sites = _denseSites + _kept.Count;
        if (sites == 0)
        {
            // A step that the cache skipped: the mean is over those that are computed.
            return;
        }

        var sparse = _kept.Count == 0 ? (double?)null : _kept.Average(kept => kept.Value.Density);
        Adapt((_denseSites + (_kept.Count * (sparse ?? 0))) / sites, sparse, _steps - step - 1);
        _denseSites = 0;
        _kept.Clear();
    }

    /// <summary>Takes a step's density and sets the next step's threshold.</summary>
    /// <param name="density">The mean over all layers.</param>
    /// <param name="sparse">The mean over the sparse ones; null in a dense step.</param>
    /// <param name="left">Steps that are left.</param>
    internal void Adapt(double density, double? sparse, int left)
    {
        _sum += density;
        _done++;
        if (!IsReady || sparse is not { } found || left == 0 || (_done - _denseSteps) % _every != 0)
        {
            return;
        }

        var moved = LogOdds(found) - LogOdds(Curve.Density(Threshold));
        Aim(left, moved + (Persistence * (moved - (_moved ?? moved))));
        _moved = moved;
    }

    private void Aim() => Aim(_steps - _done, 0);

    private void Aim(int left, double moved)
    {
        var mean = ((_target * (_done + left)) - _sum) / left;
        var isEarly = _done - _denseSteps < Math.Floor(EarlyPart * (_steps - _denseSteps)) || (_done == _denseSteps && left > 1);
        var sparse = ((isEarly ? mean * Early : mean) - _denseShare) / (1 - _denseShare);
        var wanted = LogOdds(sparse) - moved;
        Threshold = Curve.ThresholdOf(1 / (1 + Math.Exp(-wanted)));
    }

    private static double LogOdds(double share) =>
        share <= 0 ? -Limit : share >= 1 ? Limit : Math.Clamp(Math.Log(share / (1 - share)), -Limit, Limit);
}
