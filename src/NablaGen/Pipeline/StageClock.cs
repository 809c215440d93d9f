using System.Diagnostics;

namespace NablaGen.Pipeline;

/// <summary>Times the stages and passes progress on.</summary>
internal sealed class StageClock(IGenerationProgress? progress)
{
    private readonly Dictionary<GenerationStage, double> _seconds = [];
    private readonly Stopwatch _watch = new();
    private GenerationStage? _stage;

    public void Start(GenerationStage stage, int units = 0)
    {
        Stop();
        _stage = stage;
        _watch.Restart();
        progress?.OnStage(stage, units);
    }

    public void Done(int units, double? density) => progress?.OnProgress(units, density);

    public IReadOnlyDictionary<GenerationStage, double> Finish()
    {
        Stop();
        return _seconds;
    }

    private void Stop()
    {
        if (_stage is { } stage)
        {
            _seconds[stage] = _watch.Elapsed.TotalSeconds;
        }
    }
}
