using NablaGen.Attention;

namespace NablaGen.Jobs.Calibration;

/// <summary>What a calibration found and how: the contents of the file that <c>--attention nabla-FILE</c> takes.</summary>
public sealed record CalibratedThresholds
{
    /// <summary>The model's name.</summary>
    public required string Model { get; init; }

    /// <summary>The hash of the model's weights.</summary>
    public required string ModelHash { get; init; }

    /// <summary>The model's layers.</summary>
    public required int Layers { get; init; }

    /// <summary>The model's heads.</summary>
    public required int Heads { get; init; }

    /// <summary>The model's hidden width.</summary>
    public required int Dim { get; init; }

    /// <summary>What was to be met.</summary>
    public required CalibrationTarget Target { get; init; }

    /// <summary>The mean density to expect, from the measured curves.</summary>
    public required double Density { get; init; }

    /// <summary>The relative error of the attentions' outputs to expect.</summary>
    public required double Error { get; init; }

    /// <summary>The mean density of a whole run with these thresholds, the first prompt's.</summary>
    public required double DensityInUse { get; init; }

    /// <summary>The one threshold for all heads that has the same density by the same curves, for comparison.</summary>
    public required double GlobalThreshold { get; init; }

    /// <summary>The error to expect of that one.</summary>
    public required double GlobalError { get; init; }

    /// <summary>The least error at each density, by layer and head and with one threshold for all; older files have none.</summary>
    public IReadOnlyList<CalibrationPoint> Curve { get; init; } = [];

    /// <summary>How much each layer's relative error counts, by what it does to the model's output; their sum is 1. [layers]</summary>
    public required IReadOnlyList<double> LayerWeights { get; init; }

    /// <summary>What it was measured on.</summary>
    public required IReadOnlyList<string> Prompts { get; init; }

    /// <summary>The seed of each prompt's noise.</summary>
    public required IReadOnlyList<long> Seeds { get; init; }

    /// <summary>The solver steps that were measured, from 0; those of the first prompt.</summary>
    public required IReadOnlyList<int> MeasuredSteps { get; init; }

    /// <summary>Solver steps of the first prompt's run.</summary>
    public required int Steps { get; init; }

    /// <summary>Solver of the first prompt's run.</summary>
    public required string Solver { get; init; }

    /// <summary>The size of the first prompt's run, as 256x256x17: width, height, frames.</summary>
    public required string Size { get; init; }

    /// <summary>Scale of guidance of the first prompt's run.</summary>
    public required double Guidance { get; init; }

    /// <summary>Where it ran.</summary>
    public required string Device { get; init; }

    /// <summary>NablaGen's version.</summary>
    public required string Version { get; init; }

    /// <summary>The thresholds. [layers][heads]</summary>
    public required HeadThresholds Thresholds { get; init; }
}

/// <summary>What a density costs.</summary>
/// <param name="Density">The mean density.</param>
/// <param name="Error">The relative error with a threshold for each layer and head.</param>
/// <param name="GlobalError">The relative error with one threshold for all.</param>
public sealed record CalibrationPoint(double Density, double Error, double GlobalError);
