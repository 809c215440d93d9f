namespace NablaGen.Training.Runs;

/// <summary>What is noted of a few steps: a line of the log.</summary>
/// <param name="Step">Steps done.</param>
/// <param name="Measures">Each measure's name and mean over the steps since the last record; the loss comes first.</param>
/// <param name="LearningRate">The learning rate of the last step.</param>
/// <param name="StepsPerSecond">How fast it went.</param>
/// <param name="ClipsPerSecond">The same in clips.</param>
public sealed record LossRecord(int Step, IReadOnlyDictionary<string, double> Measures, double LearningRate, double StepsPerSecond, double ClipsPerSecond)
{
    /// <summary>The loss.</summary>
    public double Loss => Measures.First().Value;
}
