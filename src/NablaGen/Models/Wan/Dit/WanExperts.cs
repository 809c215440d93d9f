using NablaGen.Attention;
using NablaGen.Files;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Dit;

/// <summary>
/// Wan2.2's two transformers: one for noisy latents, one for the rest. Each is read when its turn comes. Port of
/// _prepare_model_for_timestep, wan/text2video.py of Wan2.2.
/// </summary>
/// <param name="traits">The sizes of each, with their boundary.</param>
/// <param name="options">Where they are, and their type.</param>
/// <param name="load">Reads the high-noise one (true) or the low-noise one.</param>
/// <param name="files">The low-noise one's files, which are read ahead while the high-noise one works.</param>
internal sealed class WanExperts(
    TransformerTraits traits, ModuleOptions options, Func<bool, IVideoTransformer> load, Func<IReadOnlyList<string>> files) : IExpertTransformer
{
    private ReadAhead? _ahead;
    private readonly Dictionary<bool, IVideoTransformer> _loaded = [];
    private bool _isHigh = true;

    /// <inheritdoc/>
    public bool KeepsExperts { get; set; }

    /// <inheritdoc/>
    public TransformerTraits Traits => traits;

    /// <summary>The expert whose turn it is.</summary>
    public nn.Module Module => Use(_isHigh).Module;

    /// <inheritdoc/>
    public ModuleOptions Options => options;

    /// <inheritdoc/>
    public ITransformerRun Begin(ReadOnlySpan<long> latents, IAttention attention, CancellationToken cancellation = default) =>
        new WanExpertsRun(this, latents.ToArray(), attention, cancellation);

    /// <inheritdoc/>
    public void Dispose()
    {
        _ahead?.Dispose();
        foreach (var expert in _loaded.Values)
        {
            expert.Dispose();
        }

        _loaded.Clear();
    }

    /// <summary>An expert, read if it is not in memory.</summary>
    internal IVideoTransformer Use(bool isHigh)
    {
        _isHigh = isHigh;
        if (_loaded.TryGetValue(isHigh, out var known))
        {
            return known;
        }

        if (!KeepsExperts && _loaded.Remove(!isHigh, out var other))
        {
            other.Dispose();
            DeviceCache.Release(options.Device);
        }

        // What is not in the cache by now is read in any case: two readers would only be in each other's way.
        _ahead?.Dispose();
        _ahead = null;
        var expert = _loaded[isHigh] = load(isHigh);
        if (isHigh && !_loaded.ContainsKey(false))
        {
            _ahead = ReadAhead.Start(files());
        }

        return expert;
    }
}
