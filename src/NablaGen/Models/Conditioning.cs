using static TorchSharp.torch;

namespace NablaGen.Models;

/// <summary>
/// What a model is told in addition to the noisy latents and the time, as named tensors. The conditioner that makes a part and the model that reads
/// it share its name (<see cref="Text"/>). Solvers and samplers pass all parts on unread.
/// </summary>
public sealed class Conditioning : IDisposable
{
    /// <summary>The prompt's encoding, cut at its true length. [B, tokens, width of the text encoder]</summary>
    public const string Text = "text";

    /// <summary>The image encoder's tokens of the pictures, first before last. [B, tokens, width of the image encoder]</summary>
    public const string Image = "image";

    /// <summary>Which latent frames are given, and their latents, to stand beside the noise. [B, channels, T', h, w]</summary>
    public const string Guide = "guide";

    /// <summary>Latents of a given first frame, to stand in place of the noise's. [B, C, 1, h, w]</summary>
    public const string FirstFrame = "first frame";

    private readonly SortedDictionary<string, Tensor> _parts = new(StringComparer.Ordinal);

    /// <summary>A conditioning without parts yet.</summary>
    public Conditioning()
    {
    }

    /// <summary>A conditioning that is a prompt alone.</summary>
    /// <param name="text">The prompt's encoding, the conditioning's own from now on. [B, tokens, width of the text encoder]</param>
    public Conditioning(Tensor text) => Add(Text, text);

    /// <summary>The parts' names.</summary>
    public IReadOnlyCollection<string> Names => _parts.Keys;

    /// <summary>A part.</summary>
    /// <exception cref="KeyNotFoundException">There is no part of that name.</exception>
    public Tensor this[string name] => _parts[name];

    /// <summary>A part, or null where there is none of that name.</summary>
    public Tensor? Find(string name) => _parts.GetValueOrDefault(name);

    /// <summary>Adds a part.</summary>
    /// <param name="name">Its name, which must be new.</param>
    /// <param name="part">The tensor, the conditioning's own from now on: taken out of its dispose scope. Its first axis is the batch.</param>
    public void Add(string name, Tensor part) => _parts.Add(name, part.DetachFromDisposeScope());

    /// <summary>The same parts, on a device.</summary>
    public Conditioning To(Device device) => Each(part => part.to(device).alias());

    /// <summary>The same parts, without a copy.</summary>
    public Conditioning Alias() => Each(part => part.alias());

    /// <summary>Several conditionings as one of a larger batch: shorter sequences are padded with zeros.</summary>
    /// <param name="all">Conditionings of the same parts.</param>
    public static Conditioning Stack(IReadOnlyList<Conditioning> all)
    {
        var batch = new Conditioning();
        foreach (var name in all[0].Names)
        {
            using var scope = NewDisposeScope();
            var longest = all.Max(one => one[name].shape[1]);
            batch.Add(name, cat([.. all.Select(one => Padded(one[name], longest))]));
        }

        return batch;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var part in _parts.Values)
        {
            part.Dispose();
        }
    }

    private Conditioning Each(Func<Tensor, Tensor> change)
    {
        var changed = new Conditioning();
        foreach (var (name, part) in _parts)
        {
            changed.Add(name, change(part));
        }

        return changed;
    }

    private static Tensor Padded(Tensor part, long length)
    {
        var missing = length - part.shape[1];
        return missing == 0 ? part : cat([part, zeros([part.shape[0], missing, .. part.shape[2..]], part.dtype, part.device)], 1);
    }
}
