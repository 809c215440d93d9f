using System.Diagnostics;
using NablaGen.Memory;

namespace NablaGen.Generation;

/// <summary>Times the stages and passes progress on.</summary>
/// <param name="progress">Is told.</param>
/// <param name="look">Called at each stage's end and at each unit of work, to see the memory at its fullest; null for nothing.</param>
internal sealed class StageClock(IGenerationProgress? progress, Action? look = null)
{
    private readonly SteadyProgress? _progress = progress is null ? null : new SteadyProgress(progress);
    private readonly Dictionary<GenerationStage, double> _seconds = [];
    private readonly Stopwatch _watch = new();
    private GenerationStage? _stage;
    private int _units;

    /// <summary>What is being done, as in "the device failed while sampling".</summary>
    public string Doing => _stage switch
    {
        GenerationStage.EncodeText => "encoding text",
        GenerationStage.EncodeImage => "encoding pictures",
        GenerationStage.LoadTransformer => "loading the transformer",
        GenerationStage.Measure => "measuring attention",
        GenerationStage.Sample => "sampling",
        GenerationStage.Decode => "decoding",
        _ => "checking",
    };

    public void Plan(MemoryPlan plan) => _progress?.OnPlan(plan);

    public void Cut(string prompt, int tokens, int read) => _progress?.OnCut(prompt, tokens, read);

    public void Note(string note) => _progress?.OnNote(note);

    public void Estimate(TimeSpan sampling) => _progress?.OnEstimate(sampling);

    public void Start(GenerationStage stage, int units = 0)
    {
        Stop();
        (_stage, _units) = (stage, units);
        _watch.Restart();
        _progress?.OnStage(stage, units);
    }

    public void Done(int units, double? density)
    {
        look?.Invoke();
        if (_units > 0)
        {
            _progress?.OnProgress(units, density);
        }
    }

    public IReadOnlyDictionary<GenerationStage, double> Finish()
    {
        Stop();
        return _seconds;
    }

    private void Stop()
    {
        if (_stage is { } stage)
        {
            look?.Invoke();
            _seconds[stage] = _watch.Elapsed.TotalSeconds;
        }
    }
}
