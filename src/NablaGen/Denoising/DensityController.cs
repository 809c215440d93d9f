using NablaGen.Attention;
using NablaGen.Attention.Cpu;
using NablaGen.Models;
using static TorchSharp.torch;

namespace NablaGen.Denoising;

/// <summary>
/// Holds the mean density of a run's steps at a target by adapting NABLA's threshold between them. The same inputs give the same
/// thresholds.
/// </summary>
/// <remarks>
/// Threshold and density are compared by their log-odds, because for any model these depend on each other nearly linearly. Each step sets the
/// next threshold to where the line through this step, with the slope estimated so far, meets the target. A small integral term
/// adds up what is missed, so that a density that drifts steadily does not stay beside the target.
/// </remarks>
public sealed class DensityController : ISamplingObserver
{
    // Beyond these a slope says more about noise, or about a mask with few blocks, than about the model.
    private const double SmallestSlope = 0.4;
    private const double LargestSlope = 3;
    private const double Limit = 9;

    // After a smaller move the difference in density comes from the drift of the forming video, not from the slope.
    private const double SmallMove = 0.2;

    private const double DriftGain = 0.3;

    // How far a typical model's density lies below its threshold: nabla-0.7 keeps about 0.45.
    private const double TypicalShift = 1;

    private readonly double _target;
    private readonly double _floor;
    private readonly int _layers;
    private readonly int _denseLayers;
    private readonly List<Lazy<KeptStatistics>> _kept = [];
    private (double Threshold, double Density)? _before;
    private double _slope = 1;
    private double _drift;

    /// <summary>A controller for one run.</summary>
    /// <param name="target">The mean density to hold over all layers and heads of a sparse step, above <see cref="Floor"/> and below 1.</param>
    /// <param name="firstThreshold">The threshold of the first step, in (0, 1].</param>
    /// <param name="floor">The least density at any threshold; see <see cref="Floor"/>.</param>
    /// <param name="layers">Layers of the transformer.</param>
    /// <param name="denseLayers">How many of them are dense.</param>
    public DensityController(double target, double firstThreshold, double floor, int layers, int denseLayers)
    {
        (_target, _floor, _layers, _denseLayers) = (target, floor, layers, denseLayers);
        Threshold = firstThreshold;
    }

    /// <summary>The controller of a run; null where there is no target, or its thresholds are known.</summary>
    /// <param name="settings">The run.</param>
    /// <param name="model">The transformer.</param>
    /// <param name="latents">The latents' shape. [C, T', h, w]</param>
    public static DensityController? For(SamplingSettings settings, TransformerTraits model, ReadOnlySpan<long> latents) =>
        settings is { TargetDensity: { } target, Thresholds: null, Attention.Threshold: { } first }
            ? new DensityController(
                target, first, Floor(settings.Attention, model.LayoutOf(latents), model.Layers, settings.DenseLayers), model.Layers, settings.DenseLayers)
            : null;

    /// <summary>The threshold of the current step.</summary>
    public double Threshold { get; private set; }

    /// <summary>The first threshold, where nothing is known of the model.</summary>
    public static double FirstThreshold(double target) => Math.Round(FromLogOdds(LogOdds(target) + TypicalShift), 2);

    /// <summary>The mean density that is left when NABLA keeps as little as it can: one block a row or its floor, the window, the dense layers.</summary>
    /// <param name="expression">What to keep.</param>
    /// <param name="layout">The blocks.</param>
    /// <param name="layers">Layers of the transformer.</param>
    /// <param name="denseLayers">How many of them are dense.</param>
    public static double Floor(AttentionExpression expression, BlockLayout layout, int layers, int denseLayers)
    {
        var blocks = (double)layout.Blocks;
        var least = Math.Min(expression.Top ?? 1, blocks) / blocks;
        var sparse = expression.Window is { } window ? Math.Max(least, StaMask.KeyBlocks(layout, window).KeyBlocks.Length / (blocks * blocks)) : least;
        return (denseLayers + (layers - denseLayers) * sparse) / layers;
    }

    /// <inheritdoc/>
    public void OnDense(AttentionSite site)
    {
    }

    /// <inheritdoc/>
    public void OnSparse(AttentionSite site, IKeptBlocks kept) => _kept.Add(kept.Statistics);

    /// <inheritdoc/>
    public void OnStep(int step, Tensor latents)
    {
        if (_kept.Count == 0)
        {
            // A step that the schedule kept dense.
            return;
        }

        var density = (_denseLayers + (_layers - _denseLayers) * _kept.Average(kept => kept.Value.Density)) / _layers;
        _kept.Clear();
        Adapt(density);
    }

    /// <summary>Takes a step's density and sets the next step's threshold.</summary>
    internal void Adapt(double density)
    {
        var (threshold, found) = (LogOdds(Threshold), LogOdds(AboveFloor(density)));
        var missing = LogOdds(AboveFloor(_target)) - found;
        if (_before is { } before)
        {
            var move = threshold - before.Threshold;
            if (Math.Abs(move) > SmallMove)
            {
                // The larger the move, the more of the difference comes from the slope.
                var weight = Math.Min(Math.Abs(move), 1);
                var slope = Math.Clamp((found - before.Density) / move, SmallestSlope, LargestSlope);
                _slope = Math.Pow(slope, weight) * Math.Pow(_slope, 1 - weight);
            }
            else
            {
                _drift += DriftGain * missing;
            }
        }

        _before = (threshold, found);
        Threshold = FromLogOdds(Math.Clamp(threshold + (missing + _drift) / _slope, -Limit, Limit));
    }

    // 0 where nothing but the floor is kept, 1 where everything is.
    private double AboveFloor(double density) => (density - _floor) / (1 - _floor);

    private static double LogOdds(double share) => Math.Clamp(Math.Log(share / (1 - share)), -Limit, Limit);

    private static double FromLogOdds(double x) => 1 / (1 + Math.Exp(-x));
}
