namespace NablaGen.Jobs.Calibration;

/// <summary>What NABLA would keep and lose in one step of one prompt, by layer, threshold and head, its passes added up.</summary>
internal sealed class StepMeasurement
{
    private readonly double[] _outputs;
    private readonly double[,,] _errors;
    private readonly double[,,] _densities;
    private readonly int[] _passes;

    public StepMeasurement(int layers, int thresholds, int heads)
    {
        _outputs = new double[layers];
        _errors = new double[layers, thresholds, heads];
        _densities = new double[layers, thresholds, heads];
        _passes = new int[layers];
        Weights = new double[layers];
        Array.Fill(Weights, 1);
    }

    /// <summary>How much each layer's relative squared error counts. [layers]</summary>
    public double[] Weights { get; }

    /// <summary>Adds a pass.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="outputs">The squared norm of what each head puts out. [heads]</param>
    /// <param name="errors">The squared norm of its error at each threshold. [thresholds][heads]</param>
    /// <param name="densities">What each head keeps at each threshold. [thresholds][heads]</param>
    public void Add(int layer, float[] outputs, float[][] errors, IReadOnlyList<double>[] densities)
    {
        _passes[layer]++;
        _outputs[layer] += outputs.Sum(square => (double)square);
        for (var i = 0; i < errors.Length; i++)
        {
            for (var head = 0; head < outputs.Length; head++)
            {
                _errors[layer, i, head] += errors[i][head];
                _densities[layer, i, head] += densities[i][head];
            }
        }
    }

    /// <summary>A head's squared error, as a share of the squared norm of all heads' outputs (taken to be independent of one another).</summary>
    public double Loss(int layer, int threshold, int head) => _outputs[layer] > 0 ? _errors[layer, threshold, head] / _outputs[layer] : 0;

    /// <summary>The share of block pairs that a head keeps.</summary>
    public double Density(int layer, int threshold, int head) => _densities[layer, threshold, head] / _passes[layer];

    /// <summary>The threshold, by its number, at which a layer's mean density is nearest to another.</summary>
    public int Nearest(int layer, double density) => Enumerable.Range(0, _densities.GetLength(1)).MinBy(i => Math.Abs(Mean(layer, i) - density));

    /// <summary>A layer's squared relative error at a threshold.</summary>
    public double Loss(int layer, int threshold) => Enumerable.Range(0, _errors.GetLength(2)).Sum(head => Loss(layer, threshold, head));

    private double Mean(int layer, int threshold) => Enumerable.Range(0, _densities.GetLength(2)).Average(head => Density(layer, threshold, head));
}
