using System.Runtime.InteropServices;
using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Files;
using static TorchSharp.torch;

namespace NablaGen.Jobs.Masks;

/// <summary>
/// Records the masks of a plan as bits on the host, as they are made, and the density of every block over the whole run. Of a guided step it
/// sees the pass with the prompt, which comes first. It looks and changes nothing; on CUDA it waits for the device in each layer.
/// </summary>
/// <param name="plan">What to record.</param>
/// <param name="heads">Heads of a layer.</param>
public sealed class MaskObserver(MaskPlan plan, int heads) : ISamplingObserver
{
    private readonly Dictionary<(int Step, int Layer), LayerMasks> _found = [];
    private readonly HashSet<int> _layers = [];
    private readonly double[] _sums = new double[plan.Layout.Blocks];
    private long _count;

    /// <summary>Why nothing more is recorded; null where all is well. The run goes on without.</summary>
    public NablaGenException? Failure { get; private set; }

    /// <summary>What was recorded so far.</summary>
    public RecordedMasks Masks => new(plan, _found, [.. _sums.Select(sum => sum / Math.Max(1, _count))]);

    /// <inheritdoc/>
    public void OnDense(AttentionSite site)
    {
        if (Failure is not null || !_layers.Add(site.Layer))
        {
            return;
        }

        Add(Enumerable.Repeat(plan.Layout.Blocks, plan.Layout.Blocks), heads);
        if (IsWanted(site))
        {
            _found[(site.Step, site.Layer)] = new LayerMasks(null);
        }
    }

    /// <inheritdoc/>
    public void OnSparse(AttentionSite site, IKeptBlocks kept)
    {
        if (Failure is not null || !_layers.Add(site.Layer))
        {
            return;
        }

        try
        {
            // A batch has the heads of the pass with the prompt first.
            for (var head = 0; head < heads; head++)
            {
                Add(kept.ReadCounts(head), 1);
            }

            if (IsWanted(site))
            {
                _found[(site.Step, site.Layer)] = new LayerMasks([.. plan.Heads.Select(head => Rows(kept.ReadBits(head)))]);
            }
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            // Also memory: whatever happens to the masks, the video is made; then the run says that they are missing.
            Failure = error as NablaGenException ?? new NablaGenException(Line.Of($"no masks: {error.Message.Split('\n')[0]}"), error);
        }
    }

    /// <inheritdoc/>
    public void OnStep(int step, Tensor latents) => _layers.Clear();

    private bool IsWanted(AttentionSite site) => plan.Steps.Contains(site.Step) && plan.Layers.Contains(site.Layer);

    private void Add(IEnumerable<int> counts, int times)
    {
        _count += times;
        foreach (var (block, count) in counts.Index())
        {
            _sums[block] += (double)count * times / plan.Layout.Blocks;
        }
    }

    // Rows of whole bytes in place of whole words.
    private byte[] Rows(uint[] words)
    {
        var (blocks, rowWords) = (plan.Layout.Blocks, (plan.Layout.Blocks + 31) / 32);
        var bytes = MemoryMarshal.AsBytes<uint>(words);
        var rows = new byte[blocks * plan.RowBytes];
        for (var row = 0; row < blocks; row++)
        {
            bytes.Slice(row * rowWords * 4, plan.RowBytes).CopyTo(rows.AsSpan(row * plan.RowBytes));
        }

        return rows;
    }
}
