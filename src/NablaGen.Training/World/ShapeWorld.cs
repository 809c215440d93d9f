using TorchSharp;

namespace NablaGen.Training.World;

/// <summary>
/// A world of one or two simple objects that move before a backdrop, rendered and captioned by clip number. Thread-safe; a renderer
/// for each device is kept until the world is disposed of.
/// </summary>
/// <param name="split">Which scenes it shows.</param>
/// <param name="seed">Another seed, other scenes.</param>
public sealed class ShapeWorld(WorldSplit split, ulong seed = 0) : IClipSource, ISceneSource, IDisposable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, SceneRenderer> _renderers = [];

    /// <summary>What a clip shows.</summary>
    /// <param name="index">The clip's number, at least 0.</param>
    /// <exception cref="ArgumentOutOfRangeException">An index below 0.</exception>
    public Scene SceneAt(long index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        return SceneSampler.Sample(SplitMix64.For(seed, 2 * (ulong)split, index), split);
    }

    /// <inheritdoc/>
    public string CaptionAt(long index, int wording = 0) => DescribeAt(index, wording).Text;

    /// <inheritdoc/>
    public Caption DescribeAt(long index, int wording = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(wording);
        // A stream of its own for each split's scenes and for each of its wordings.
        return CaptionWriter.Write(SceneAt(index), SplitMix64.For(seed, (2 * (ulong)split) + 1 + (16 * (ulong)wording), index));
    }

    /// <inheritdoc/>
    public ClipBatch Next(long firstIndex, int count, ClipSize size, torch.Device device)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        var scenes = Enumerable.Range(0, count).Select(i => SceneAt(firstIndex + i)).ToArray();
        var captions = Enumerable.Range(0, count).Select(i => CaptionAt(firstIndex + i)).ToArray();
        return new ClipBatch(Render(scenes, size, device), captions);
    }

    /// <summary>Draws scenes.</summary>
    /// <param name="scenes">What to draw, at least one.</param>
    /// <param name="size">The clips' size.</param>
    /// <param name="device">Where they are drawn and stay.</param>
    /// <returns>[B, 3, T, H, W] float32 in [−1, 1]; the caller disposes of it.</returns>
    /// <exception cref="ArgumentOutOfRangeException">No scenes, or a side below 1.</exception>
    public torch.Tensor Render(IReadOnlyList<Scene> scenes, ClipSize size, torch.Device device)
    {
        ArgumentOutOfRangeException.ThrowIfZero(scenes.Count, nameof(scenes));
        ArgumentOutOfRangeException.ThrowIfLessThan(Math.Min(size.Frames, Math.Min(size.Height, size.Width)), 1, nameof(size));
        SceneRenderer? renderer;
        lock (_gate)
        {
            if (!_renderers.TryGetValue(device.ToString(), out renderer))
            {
                _renderers[device.ToString()] = renderer = new SceneRenderer(device);
            }
        }

        return renderer.Render(scenes, size);
    }

    /// <summary>Frees the renderers.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            foreach (var renderer in _renderers.Values)
            {
                renderer.Dispose();
            }

            _renderers.Clear();
        }
    }
}
