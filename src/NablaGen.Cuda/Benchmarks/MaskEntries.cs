using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Benchmarks;

/// <summary>The mask: its kernels alone, all together, and what is made of it.</summary>
internal static class MaskEntries
{
    /// <summary>A mask by all its kernels; no file of its own.</summary>
    public const string WholeMask = "nabla_mask";

    private const double Threshold = 0.6;

    public static IReadOnlyList<KernelEntry> All { get; } =
    [
        new("pool_blocks", PoolBlocks),
        new("nabla_scores", NablaScores),
        new("nabla_select", NablaSelect),
        new(WholeMask, WholeMasks),
        new("block_masses", BlockMasses),
        new("expand_mask", ExpandMask),
        new("mask_counts", MaskCounts),
        new("transpose_mask", TransposeMask),
        new("tail_weights", TailWeights),
        new("tail_merge", TailMerge),
        new("attention_groups", AttentionGroups, KernelNeeds.Hopper),
        new("attention_plan", AttentionPlan, KernelNeeds.Hopper),
        new("attention_order", AttentionOrder, KernelNeeds.Hopper),
    ];

    private static KernelLoad PoolBlocks(KernelData data)
    {
        var (q, k) = data.Pooled;
        return Bytes("Q and K", 4.0 * data.Shape.Elements, () => new BlockPooling(data.Device).Run(
            data.Tensor(data.Q), data.Tensor(data.K), data.Offsets, q, k));
    }

    // Of all heads at once; the mask as a whole takes as many at a time as its workspace holds.
    private static KernelLoad NablaScores(KernelData data)
    {
        var ((q, k), scores, shape) = (data.Pooled, Scores(data), data.Shape);
        return Bytes(Blocks(data), 8.0 * shape.Heads * shape.Blocks * shape.HeadSize + scores.Bytes, () => new NablaScores(data.Device).Run(
            q, k, shape.Heads, shape.HeadSize, data.Offsets, scores.Pointer));
    }

    private static KernelLoad NablaSelect(KernelData data)
    {
        var ((q, k), scores, bits, shape) = (data.Pooled, Scores(data), Bits(data), data.Shape);
        new NablaScores(data.Device).Run(q, k, shape.Heads, shape.HeadSize, data.Offsets, scores.Pointer);
        return Bytes($"{Blocks(data)}, bits", scores.Bytes + bits.AllBits.Bytes + 4.0 * shape.Heads * shape.Blocks, () => new NablaSelect(data.Device).Run(
            scores.Pointer, 0, shape.Heads, Threshold, null, bits));
    }

    private static IEnumerable<KernelLoad> WholeMasks(KernelData data)
    {
        var ((q, k), bits, shape) = (data.Pooled, Bits(data), data.Shape);
        // What cannot be avoided: reading the pooled blocks, or Q and K, and writing the bits.
        yield return Bytes($"{Blocks(data)}, from pooled, bits", 8.0 * shape.Heads * shape.Blocks * shape.HeadSize + bits.AllBits.Bytes,
            () => data.Nabla.Run(q, k, shape.HeadSize, data.Offsets, Threshold, null, bits));
        yield return Bytes($"{Blocks(data)}, with pooling, bits", 4.0 * shape.Elements + bits.AllBits.Bytes,
            () => data.Nabla.Run(data.Tensor(data.Q), data.Tensor(data.K), data.Offsets, Threshold, null, bits));
        var lists = data.Make("lists", () => new DeviceBlockMask(data.Device, shape.Heads, shape.Blocks, withLists: true));
        yield return Bytes($"{Blocks(data)}, with pooling, lists", 4.0 * shape.Elements + bits.AllBits.Bytes,
            () => data.Nabla.Run(data.Tensor(data.Q), data.Tensor(data.K), data.Offsets, Threshold, null, lists));
    }

    // Of all heads at once. The log-sum-exp is zeros: all that counts for the time is that there is some.
    private static KernelLoad BlockMasses(KernelData data)
    {
        var (scores, shape) = (Scores(data), data.Shape);
        var logSumExp = data.Make("zero log-sum-exp", () =>
        {
            var buffer = new CudaBuffer(data.Device, 4L * shape.Heads * shape.Tokens);
            buffer.Fill(0);
            return buffer;
        });
        return new KernelLoad(
            $"{shape.Heads} × {shape.Tokens} × {shape.HeadSize}, dense", 2.0 * shape.Tokens * shape.Tokens * shape.HeadSize * shape.Heads, KernelLoad.Products,
            () => new BlockMasses(data.Device).Run(data.Tensor(data.Q), data.Tensor(data.K), data.Offsets, logSumExp.Pointer, 0, shape.Heads, scores.Pointer));
    }

    private static KernelLoad ExpandMask(KernelData data)
    {
        var (bits, shape) = (Bits(data), data.Shape);
        var stored = data.Make("stored", () => new StoredBlockMask(data.Device, shape.Heads, shape.Blocks));
        stored.Store(Filled(data));
        return Bytes($"{Blocks(data)}, bits", 2.0 * bits.AllBits.Bytes, () => stored.Load(bits));
    }

    private static KernelLoad MaskCounts(KernelData data)
    {
        var mask = Filled(data);
        var kept = data.Room("kept", 8L * data.Shape.Heads);
        return Bytes(Blocks(data), 4.0 * data.Shape.Heads * data.Shape.Blocks, () => new MaskCounts(data.Device).Run(mask, kept.Pointer));
    }

    private static KernelLoad TransposeMask(KernelData data)
    {
        var bits = Filled(data).AllBits;
        var turned = data.Room("turned", bits.Bytes);
        return Bytes(Blocks(data), 2.0 * bits.Bytes, () => new MaskTranspose(data.Device).Run(bits, turned.Pointer));
    }

    // After the first run the scores are weights, which take as long.
    private static KernelLoad TailWeights(KernelData data)
    {
        var (scores, mask, shape) = (Scores(data), Filled(data), data.Shape);
        var ((q, k), logs) = (data.Pooled, data.Room("tail logs", 4L * shape.Heads * shape.Blocks));
        new NablaScores(data.Device).Run(q, k, shape.Heads, shape.HeadSize, data.Offsets, scores.Pointer);
        return Bytes(Blocks(data), 2.0 * scores.Bytes, () => new AttentionTail(data.Device).Weights(scores.Pointer, mask, 0, shape.Heads, logs.Pointer));
    }

    // The terms are zeros: all that counts for the time is that there are some.
    private static KernelLoad TailMerge(KernelData data)
    {
        var shape = data.Shape;
        CudaBuffer Zeros(string name, long bytes) => data.Make(name, () =>
        {
            var buffer = new CudaBuffer(data.Device, bytes);
            buffer.Fill(0);
            return buffer;
        });
        var (terms, logs) = (Zeros("tail terms", 8L * shape.Heads * shape.Blocks * shape.HeadSize), Zeros("tail zeros", 4L * shape.Heads * shape.Blocks));
        var logSumExp = Zeros("tail log-sum-exp", 4L * shape.Heads * shape.Tokens);
        var output = data.Tensor(data.Output);
        return Bytes($"{shape.Tokens} × {shape.Columns}", 6.0 * shape.Elements, () => new AttentionTail(data.Device).Merge(
            data.Tensor(data.Q), output, data.Offsets, logSumExp.Pointer, new TailTerms(data.Pooled.Q, terms.Pointer, logs.Pointer)));
    }

    private static KernelLoad AttentionGroups(KernelData data)
    {
        var (mask, heads) = (Filled(data), data.Shape.Heads);
        var members = data.Room("members", 4L * heads * Attention.AttentionGroups.Count(mask.Blocks) * LaunchConstants.QueryBlocks);
        return Bytes($"{Blocks(data)}, density {mask.Density():0.000}", mask.AllBits.Bytes, () => Attention.AttentionGroups.Run(data.Device, mask, heads, members.Pointer));
    }

    private static KernelLoad AttentionPlan(KernelData data)
    {
        var (mask, plan) = (Filled(data), Plan(data));
        return Bytes($"{Blocks(data)}, density {mask.Density():0.000}", mask.AllBits.Bytes, () => plan.Merge(mask, data.Shape.Heads, data.Offsets, 0));
    }

    private static KernelLoad AttentionOrder(KernelData data)
    {
        var plan = Plan(data);
        return Bytes(Blocks(data), 8.0 * data.Shape.Heads * plan.Groups, () => plan.Rank(data.Shape.Heads, 0));
    }

    // Whole; its parts are timed one by one.
    private static AttentionPlan Plan(KernelData data)
    {
        var plan = data.Make("plan", () => new AttentionPlan(data.Device));
        plan.Run(Filled(data), data.Shape.Heads, data.Offsets, 0);
        return plan;
    }

    private static CudaBuffer Scores(KernelData data) => data.Room(
        "scores", 4L * data.Shape.Heads * data.Shape.Blocks * Attention.NablaScores.StrideFor(data.Shape.Blocks));

    private static DeviceBlockMask Bits(KernelData data) => data.Make(
        "bits", () => new DeviceBlockMask(data.Device, data.Shape.Heads, data.Shape.Blocks, withLists: false));

    private static DeviceBlockMask Filled(KernelData data) => data.NablaMaskBuilder(data.Densities[^1]);

    private static string Blocks(KernelData data) => $"{data.Shape.Heads} × {data.Shape.Blocks} blocks";

    private static KernelLoad Bytes(string what, double bytes, Action work) => new(what, bytes, KernelLoad.Bytes, work);
}
