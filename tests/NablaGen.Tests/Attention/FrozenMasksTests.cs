using NablaGen.Attention;
using NablaGen.Attention.Cpu;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Tests.Attention;

public class FrozenMasksTests
{
    [Fact]
    public void A_mask_serves_its_steps_and_each_pass_has_its_own()
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(3, 17, 23);
        var seen = new MaskRecorder();
        using var attention = AttentionFactory.Create(AttentionExpression.Nabla(0.3), CPU, denseSteps: 1, observer: seen, maskEvery: 2);
        for (var step = 0; step < 5; step++)
        {
            for (var pass = 0; pass < 2; pass++)
            {
                var (q, k, v) = Draw(layout.Tokens, (step * 2) + pass);
                attention.Forward(q, k, v, layout, new AttentionSite(step, 4));
            }
        }

        int[][] lists = [.. seen.Masks.Select(mask => mask.Mask.Lists(0).KeyBlocks)];
        Assert.Equal(2, seen.Dense.Count);
        Assert.Equal(8, lists.Length);
        // Steps 1 and 2 share masks, steps 3 and 4 others.
        Assert.Equal([true, true, false, false], Enumerable.Range(0, 4).Select(i => lists[i].SequenceEqual(lists[(i + 2) % 8])));
        Assert.Equal(lists[4], lists[6]);
        Assert.Equal(lists[5], lists[7]);
        Assert.NotEqual(lists[0], lists[1]);
        Assert.NotEqual(lists[4], lists[5]);
    }

    [Fact]
    public void A_survey_is_dense_and_chooses_by_exact_masses()
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(3, 13, 20);
        var (q, k, v) = Draw(layout.Tokens, 1);
        foreach (var lanes in new[] { 8, 16 })
        {
            var output = new CpuBlockSparseBackend(lanes).Survey(q, k, v, layout, AttentionExpression.Nabla(0.4), out var kept, 0);
            Golden.AssertClose(output, functional.scaled_dot_product_attention(q.@double(), k.@double(), v.@double()), 1e-6);
            var mask = (BlockMask)kept;
            for (var head = 0; head < 2; head++)
            {
                var p = (q[0][head].@double().matmul(k[0][head].@double().t()) / Math.Sqrt(q.shape[3])).softmax(-1);
                for (var row = 0; row < layout.Blocks; row++)
                {
                    var mine = p.narrow(0, layout.Starts[row], layout.Lengths[row]).mean([0]);
                    var masses = Enumerable.Range(0, layout.Blocks).Select(j => mine.narrow(0, layout.Starts[j], layout.Lengths[j]).sum().item<double>()).ToArray();
                    var (sum, wanted) = (0.0, new List<int>());
                    foreach (var j in Enumerable.Range(0, layout.Blocks).OrderByDescending(j => masses[j]).TakeWhile(_ => sum < 0.4))
                    {
                        sum += masses[j];
                        wanted.Add(j);
                    }

                    Assert.Equal(wanted.Order(), mask.Row(head, row).ToArray());
                }
            }
        }
    }

    [Fact]
    public void After_a_survey_every_step_has_its_masks()
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(2, 17, 23);
        var seen = new MaskRecorder();
        using var attention = AttentionFactory.Create(AttentionExpression.Nabla(0.3), CPU, denseSteps: 2, denseLayers: 1, observer: seen, maskFromStep: 2);
        for (var step = 0; step < 5; step++)
        {
            for (var layer = 0; layer < 2; layer++)
            {
                var (q, k, v) = Draw(layout.Tokens, step);
                attention.Forward(q, k, v, layout, new AttentionSite(step, layer));
            }
        }

        Assert.Equal([2, 3, 4], seen.Masks.Select(mask => mask.Site.Step));
        Assert.Equal(7, seen.Dense.Count);
        var (chosenQ, chosenK, chosenV) = Draw(layout.Tokens, 1);
        new CpuBlockSparseBackend().Survey(chosenQ, chosenK, chosenV, layout, AttentionExpression.Nabla(0.3), out var chosen, 1);
        foreach (var (_, mask) in seen.Masks)
        {
            Assert.Equal(((BlockMask)chosen).Lists(1).KeyBlocks, mask.Lists(1).KeyBlocks);
        }
    }

    [Fact]
    public void The_pass_that_shows_the_curve_takes_no_ones_mask()
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(2, 17, 23);
        var (expression, seen) = (AttentionExpression.Nabla(0.3), new MaskRecorder());
        var curve = new DensityCurve(expression);
        using var attention = new BlockSparseAttention(expression, new CpuBlockSparseBackend(), seen, curve: curve, frozen: new FrozenMasks(4, surveys: false));
        void Pass(int step, int seed)
        {
            var (q, k, v) = Draw(layout.Tokens, seed);
            attention.Forward(q, k, v, layout, new AttentionSite(step, 0));
        }

        curve.IsOpen = true;
        Pass(0, 1);
        curve.IsOpen = false;
        Pass(0, 2);
        Pass(1, 3);
        Assert.True(curve.HasSome);
        Assert.NotEqual(seen.Masks[0].Mask.Lists(0).KeyBlocks, seen.Masks[1].Mask.Lists(0).KeyBlocks);
        Assert.Equal(seen.Masks[1].Mask.Lists(0).KeyBlocks, seen.Masks[2].Mask.Lists(0).KeyBlocks);
    }

    [Fact]
    public void A_renewed_mask_takes_the_room_of_the_old_one_and_all_are_freed()
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(2, 17, 23);
        var (expression, backend) = (AttentionExpression.Nabla(0.3), new CountingBackend());
        using (var attention = new BlockSparseAttention(expression, backend, frozen: new FrozenMasks(2, surveys: false)))
        {
            for (var step = 0; step < 6; step++)
            {
                foreach (var layer in new[] { 0, 0, 1 })
                {
                    var (q, k, v) = Draw(layout.Tokens, step);
                    attention.Forward(q, k, v, layout, new AttentionSite(step, layer));
                }
            }

            Assert.Equal((3, 6, 0), (backend.Taken, backend.Reused, backend.Freed));
        }

        Assert.Equal(3, backend.Freed);
    }

    private static (Tensor Q, Tensor K, Tensor V) Draw(int tokens, int seed)
    {
        using var generator = new Generator();
        generator.manual_seed(seed);
        return (One(), One(), One());

        Tensor One() => randn([1, 2, tokens, 32], generator: generator)
            + (randn([1, 2, (tokens + 63) / 64, 32], generator: generator) * 0.8).repeat_interleave(64, 2).narrow(2, 0, tokens);
    }

    // A back end that counts what it is asked to hold, as CUDA's has memory for it.
    private sealed class CountingBackend : IBlockSparseBackend
    {
        private readonly CpuBlockSparseBackend _cpu = new();

        public int Taken { get; private set; }

        public int Reused { get; private set; }

        public int Freed { get; private set; }

        public Tensor Forward(
            Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionExpression expression, out IKeptBlocks kept, int layer = 0, BlockMeans? means = null, Fp8Output? fp8 = null) =>
            _cpu.Forward(q, k, v, layout, expression, out kept, layer, means);

        public IHeldMask Hold(IKeptBlocks kept, IHeldMask? room = null)
        {
            var held = (Held?)room ?? new Held(this);
            (Taken, Reused) = room is null ? (Taken + 1, Reused) : (Taken, Reused + 1);
            held.Mask = _cpu.Hold(kept);
            return held;
        }

        public Tensor ForwardWith(
            Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionExpression expression, IHeldMask mask, out IKeptBlocks kept, BlockMeans? means = null, Fp8Output? fp8 = null) =>
            _cpu.ForwardWith(q, k, v, layout, expression, ((Held)mask).Mask!, out kept, means);

        public void Dispose() => _cpu.Dispose();

        private sealed class Held(CountingBackend owner) : IHeldMask
        {
            public IHeldMask? Mask { get; set; }

            public void Dispose() => owner.Freed++;
        }
    }
}
