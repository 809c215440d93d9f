using NablaGen.Generation;
using NablaGen.Training.Evaluation;
using NablaGen.Training.Evaluation.Generation;
using NablaGen.Training.World;
using static TorchSharp.torch;

namespace NablaGen.Tests.Training.Evaluation;

/// <summary>Instead of a model: renders what a prompt asks for, or what another does where an attention is to be bad.</summary>
internal sealed class RenderedClips : IClipGenerator, IDisposable
{
    // Scene 0 has a purple heart at sunset, whose shade the scorer takes for the sky in 3 of 17 frames: here it is the runner that is tested.
    private const int First = 1;

    // Scenes are the same each time, and the tests run one after the other: each is rendered once.
    private static readonly Dictionary<int, FrameBytes> Rendered = [];

    private readonly ShapeWorld _world = new(WorldSplit.All, 41);

    /// <summary>The size of its clips.</summary>
    public static ClipSize Size { get; } = new(17, 96, 96);

    /// <summary>By attention, of how many videos, the first ones, another prompt's is given.</summary>
    public Dictionary<string, int> Wrong { get; } = [];

    /// <summary>The attention and the number of videos of each call.</summary>
    public List<(string Attention, int Videos)> Calls { get; } = [];

    /// <summary>Is called before each batch.</summary>
    public Action? OnGenerate { get; set; }

    /// <summary>Scenes as prompts, numbered.</summary>
    public EvaluationPrompt[] Prompts(int count) =>
    [
        .. Enumerable.Range(0, count).Select(i => new EvaluationPrompt($"{i}", Expectation.Of(_world.SceneAt(First + i)), i % 3 == 2)),
    ];

    public Recipe RecipeOf(GenerationRequest request) => Recipe.Of(request, "rendered", "0", "cpu", "float32");

    public void Prepare(IReadOnlyList<GenerationRequest> requests, CancellationToken cancellation)
    {
    }

    public IReadOnlyList<GeneratedClip> Generate(IReadOnlyList<GenerationRequest> requests, CancellationToken cancellation)
    {
        OnGenerate?.Invoke();
        cancellation.ThrowIfCancellationRequested();
        string attention = $"{requests[0].Attention}";
        Assert.All(requests, request => Assert.Equal(requests[0] with { Prompt = request.Prompt, Seed = request.Seed }, request));
        Calls.Add((attention, requests.Count));
        return [.. requests.Select(request => new GeneratedClip(
            Clip(int.Parse(request.Prompt) is var i && i < Wrong.GetValueOrDefault(attention) ? i + 100 : i), request.Attention.Threshold ?? 1, i + 1, 0.5))];
    }

    public void Dispose() => _world.Dispose();

    private FrameBytes Clip(int scene)
    {
        if (!Rendered.TryGetValue(scene, out var clip))
        {
            using var scope = NewDisposeScope();
            Rendered[scene] = clip = FrameBytes.Of(_world.Render([_world.SceneAt(First + scene)], Size, CPU)[0]);
        }

        return clip;
    }
}
