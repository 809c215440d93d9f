using NablaGen.Training.Evaluation.Results;

namespace NablaGen.Training.Evaluation.Running;

/// <summary>Is told how an evaluation goes. Calls come one at a time, from any thread.</summary>
public interface IEvaluationProgress
{
    /// <summary>The work is known.</summary>
    /// <param name="videos">All videos.</param>
    /// <param name="done">Those that an earlier run has made and measured.</param>
    void OnStart(int videos, int done);

    /// <summary>Videos of one attention are made and measured.</summary>
    /// <param name="rows">What was measured on them.</param>
    /// <param name="done">Videos done so far, those of earlier runs included.</param>
    /// <param name="videos">All videos.</param>
    /// <param name="left">The time that the others take, by what this run's took.</param>
    void OnRows(IReadOnlyList<EvaluationRow> rows, int done, int videos, TimeSpan left);
}
