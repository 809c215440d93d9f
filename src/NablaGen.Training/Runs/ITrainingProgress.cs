namespace NablaGen.Training.Runs;

/// <summary>Is told how a training goes. Calls come from the thread that works.</summary>
public interface ITrainingProgress
{
    /// <summary>Clips are made before the first step.</summary>
    /// <param name="done">Groups made.</param>
    /// <param name="groups">Groups to be made.</param>
    void OnClips(int done, int groups);

    /// <summary>Steps were done.</summary>
    /// <param name="record">What came of them.</param>
    /// <param name="steps">Steps in all.</param>
    /// <param name="left">How long this run will go on at this rate.</param>
    void OnSteps(LossRecord record, int steps, TimeSpan left);

    /// <summary>Something to know: a file was written, say.</summary>
    void OnNote(string note);
}
