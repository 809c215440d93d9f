namespace NablaGen.Jobs.Calibration;

/// <summary>All measured steps of a calibration, and the curves that they give.</summary>
internal sealed class Measurements(int layers, int heads, IReadOnlyList<double> thresholds)
{
    private readonly List<StepMeasurement> _steps = [];

    /// <summary>A step to be measured.</summary>
    public StepMeasurement NewStep()
    {
        _steps.Add(new StepMeasurement(layers, thresholds.Count, heads));
        return _steps[^1];
    }

    /// <summary>How much each layer's relative squared error counts on average; their sum is 1. [layers]</summary>
    public double[] LayerWeights()
    {
        var total = TotalWeight;
        return [.. Enumerable.Range(0, layers).Select(layer => _steps.Sum(step => step.Weights[layer]) / total)];
    }

    /// <summary>
    /// A curve for each head, layer by layer. The sum of their losses is the square of the layers' relative errors, their weighted mean over
    /// layers and steps.
    /// </summary>
    public HeadCurve[] Curves() =>
        [.. Enumerable.Range(0, layers * heads).Select(i => Curve(i / heads, i % heads))];

    // Above 0 also where nothing is lost at any threshold.
    private double TotalWeight => Math.Max(_steps.Sum(step => step.Weights.Sum()), double.Epsilon);

    private HeadCurve Curve(int layer, int head)
    {
        var total = TotalWeight;
        var points = new List<CurvePoint>();
        for (var i = 0; i < thresholds.Count; i++)
        {
            points.Add(new CurvePoint(
                thresholds[i], _steps.Average(step => step.Density(layer, i, head)),
                _steps.Sum(step => step.Weights[layer] * step.Loss(layer, i, head)) / total));
        }

        // Nothing is left out: no need to measure.
        points.Add(new CurvePoint(1, 1, 0));
        return new HeadCurve(points);
    }
}
