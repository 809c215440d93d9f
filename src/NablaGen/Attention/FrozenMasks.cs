using static TorchSharp.torch;

namespace NablaGen.Attention;

/// <summary>
/// Keeps a run's masks from step to step: either each serves <paramref name="every"/> steps, or all are chosen once, by the exact masses
/// of a step that is dense.
/// </summary>
/// <remarks>A step may have several passes (with and without the prompt): each has its own masks, told apart by their order in the step.</remarks>
/// <param name="every">Steps that a mask serves; null for the rest of the run.</param>
/// <param name="surveys">Whether the first pass of each layer is dense and its exact masses choose the mask.</param>
public sealed class FrozenMasks(int? every, bool surveys) : IDisposable
{
    private readonly Dictionary<(int Layer, int Pass), (int Step, IHeldMask Mask)> _masks = [];
    private readonly Dictionary<int, (int Step, int Passes)> _passes = [];

    /// <summary>Bytes of a run's masks: on CUDA a bit for each pair of blocks, on the CPU a number for each that is kept (here all).</summary>
    /// <param name="layers">Layers of the transformer.</param>
    /// <param name="heads">Heads of all passes of a step.</param>
    /// <param name="blocks">Blocks of the video.</param>
    /// <param name="isCuda">Whether the masks are on CUDA.</param>
    public static long Memory(int layers, int heads, long blocks, bool isCuda) => 4L * layers * heads * blocks * (isCuda ? (blocks + 31) / 32 : blocks);

    /// <summary>Attends with the mask that is due.</summary>
    /// <param name="backend">Computes it.</param>
    /// <param name="q">[B, H, L, D]</param>
    /// <param name="k">[B, H, L, D]</param>
    /// <param name="v">[B, H, L, D]</param>
    /// <param name="layout">The blocks of the L tokens.</param>
    /// <param name="expression">What to keep where a mask is made.</param>
    /// <param name="site">The step and the layer.</param>
    /// <param name="means">Means over blocks, where there are some.</param>
    /// <param name="kept">What was kept; null where everything was.</param>
    /// <returns>A new tensor in the type of <paramref name="v"/>. [B, H, L, D]</returns>
    public Tensor Forward(
        IBlockSparseBackend backend, Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionExpression expression, AttentionSite site,
        BlockMeans? means, out IKeptBlocks? kept)
    {
        var pass = _passes.TryGetValue(site.Layer, out var last) && last.Step == site.Step ? last.Passes : 0;
        _passes[site.Layer] = (site.Step, pass + 1);
        var isHeld = _masks.TryGetValue((site.Layer, pass), out var held);
        if (isHeld && !(site.Step - held.Step >= every))
        {
            return backend.ForwardWith(q, k, v, layout, expression, held.Mask, out kept, means, site.Fp8);
        }

        if (surveys)
        {
            var output = backend.Survey(q, k, v, layout, expression, out var found, site.Layer);
            _masks[(site.Layer, pass)] = (site.Step, backend.Hold(found));
            kept = null;
            return output;
        }

        var made = backend.Forward(q, k, v, layout, expression, out var mask, site.Layer, means, site.Fp8);
        _masks[(site.Layer, pass)] = (site.Step, backend.Hold(mask, isHeld ? held.Mask : null));
        kept = mask;
        return made;
    }

    /// <summary>Frees the masks.</summary>
    public void Dispose()
    {
        foreach (var (_, mask) in _masks.Values)
        {
            mask.Dispose();
        }

        _masks.Clear();
    }
}
