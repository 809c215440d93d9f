using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;

namespace NablaGen.Tests.Cuda;

public class EightBitAttentionTests
{
    private const int HeadSize = EightBitAttention.HeadSize;

    // ‖y − exact‖ / ‖exact‖: rounding V and the weights to three bits of mantissa is 2.6% each, the logits' share is below 2%.
    private const double ToExact = 0.05;

    // To the exact attention of the quantised tensors: the weights' rounding alone.
    private const double ToQuantised = 0.032;

    // What all tokens share is in no product in eight bits: of values of four times the spread little more than the output's own rounding is left.
    private const double ToExactWithMean = 0.006;

    private const double ToLogSumExp = 0.02, Bias = 0.005;

    public static TheoryData<int[], double> Shapes => new()
    {
        { [64], 1 },
        { [1], 1 },
        { [64, 1, 64, 33, 64, 64, 7], 0.6 },
        { [.. Enumerable.Repeat(64, 9), 13], 0.5 },
        { [.. Enumerable.Repeat(64, 40)], 0.1 },
        { [.. Enumerable.Repeat(64, 40)], 1 },
        { [.. Enumerable.Repeat(48, 35), 5], 0.3 },
    };

    [Theory, Trait("gpu", "true"), MemberData(nameof(Shapes))]
    public void It_agrees_with_exact_attention_and_closer_with_that_of_the_quantised_tensors(int[] sizes, double density) =>
        Check(ElementType.BFloat16, 2, 2, sizes, density, tokensFirst: false);

    [Theory, Trait("gpu", "true")]
    [InlineData(ElementType.BFloat16)]
    [InlineData(ElementType.Float16)]
    public void Types_and_strides_do_not_matter(ElementType type) => Check(type, 2, 3, [64, 64, 40, 64, 64, 9], 0.7, tokensFirst: true);

    [Fact, Trait("gpu", "true")]
    public void A_mean_that_all_keys_share_costs_nothing() =>
        Check(ElementType.BFloat16, 1, 2, [.. Enumerable.Repeat(64, 12)], 0.8, false, prepare: (_, k, _) => AddToAll(k, 6));

    // One block keeps nothing: its rows are zeros, not the mean.
    [Theory, Trait("gpu", "true")]
    [InlineData(ElementType.BFloat16)]
    [InlineData(ElementType.Float16)]
    public void A_mean_that_all_values_share_stays_whole(ElementType type) => Check(
        type, 1, 1, [.. Enumerable.Repeat(64, 40)], 1, false, keeps: (query, _) => query != 1, prepare: (_, _, v) => AddToAll(v, 4, type),
        toExact: ToExactWithMean);

    // Token 0 is looked at: its thousandth part is no mean of the others, whose rows do not attend to it.
    [Fact, Trait("gpu", "true")]
    public void An_outlier_that_was_looked_at_is_no_mean_of_the_others() => Check(
        ElementType.BFloat16, 1, 1, [.. Enumerable.Repeat(64, 40)], 1, false, keeps: (_, key) => key != 0,
        prepare: (_, _, v) => Scale(v, i => i < HeadSize ? 256 : 1));

    [Fact, Trait("gpu", "true")]
    public void Logits_that_grow_along_the_row_move_the_maximum() => Check(
        ElementType.BFloat16, 1, 2, [.. Enumerable.Repeat(64, 20)], 1, false,
        prepare: (_, k, _) => Scale(k, i => 0.2 + i / HeadSize % 1280 / 500.0));

    // The first keeps everything, so that its sums leave the tensor cores more than once. What the third keeps lies further apart than the key blocks
    // that Hopper's kernel has in flight.
    [Fact, Trait("gpu", "true")]
    public void Query_blocks_that_share_a_stream_may_keep_very_different_numbers() => Check(
        ElementType.BFloat16, 1, 1, [.. Enumerable.Repeat(64, 70)], 1, false, keeps: (query, key) => query == 0 || (query == 2 && key % 13 == 5));

    [Fact, Trait("gpu", "true")]
    public void Columns_of_v_of_very_different_size_keep_their_precision() =>
        Check(ElementType.BFloat16, 1, 2, [.. Enumerable.Repeat(64, 10), 30], 0.7, false,
        prepare: (_, _, v) => Scale(v, i => Math.Pow(2, i % HeadSize % 16 - 8)), part: (_, column) => column % 16);

    // Of 2,560 tokens the statistics see 0, 2, 5, 7, 10 and so on: tokens 1, 68 and 1,601 are not among them.
    [Theory, Trait("gpu", "true")]
    [InlineData(3)]
    [InlineData(9)]
    [InlineData(40)]
    public void Values_far_larger_than_those_that_were_looked_at_are_not_cut(int bits) => Check(
        ElementType.BFloat16, 1, 2, [.. Enumerable.Repeat(64, 40)], 0.3, false,
        prepare: (_, _, v) => Scale(v, i => i / HeadSize % 2560 is 1 or 68 or 1601 ? Math.Pow(2, bits) : 1));

    [Fact, Trait("gpu", "true")]
    public void Outliers_of_one_block_leave_other_rows_as_exact_as_they_were()
    {
        // Query blocks 2 and 5 attend to the block of the outlier, so that the others' norm is of ordinary values.
        static bool Near(int query, int key) => key != 1 || query is 2 or 5;
        Check(
            ElementType.BFloat16, 1, 1, [.. Enumerable.Repeat(64, 40)], 1, false, keeps: Near, part: (token, _) => token / 64 is 2 or 5 ? 1 : 0,
            prepare: (_, _, v) => Scale(v, i => i / HeadSize == 68 ? 4096 : 1));
    }

    [Fact, Trait("gpu", "true")]
    public void Values_are_found_where_all_that_were_looked_at_are_zero() => Check(
        ElementType.BFloat16, 1, 1, [.. Enumerable.Repeat(64, 40)], 1, false, prepare: (_, _, v) =>
        {
            foreach (var i in Enumerable.Range(0, 1024))
            {
                Array.Clear(v, (int)((long)i * 2560 / 1024) * HeadSize, HeadSize);
            }
        });

    [Fact, Trait("gpu", "true")]
    public void Zeros_stay_zeros() => Check(ElementType.BFloat16, 1, 1, [64, 64, 3], 1, false, prepare: (q, k, v) =>
    {
        Array.Clear(q);
        Array.Clear(k);
        Array.Clear(v, 0, v.Length / 2);
    });

    // A broken activation must not be rounded to numbers: every row that attends to it shows it.
    [Theory, Trait("gpu", "true")]
    [InlineData(0, 0x7fc0)]
    [InlineData(0, 0x7f80)]
    [InlineData(1, 0x7fc0)]
    [InlineData(1, 0xff80)]
    [InlineData(2, 0x7fc0)]
    [InlineData(2, 0x7f80)]
    public void What_is_not_a_number_shows_in_the_output(int which, int bits)
    {
        var device = Gpu.Require();
        var kernels = Gpu.EightBitKernels(device);
        var draw = new Draw(3);
        using var offsets = new BlockOffsets(device, [64, 64, 30]);
        var (tokens, count) = (offsets.Tokens, offsets.Tokens * HeadSize);
        ushort[][] inputs = [.. Enumerable.Range(0, 3).Select(_ => Element16.Encode(ElementType.BFloat16, draw.Normals(count, ElementType.BFloat16)))];
        // Token 70 is in the second block.
        inputs[which][(70 * HeadSize) + 5] = (ushort)bits;
        CudaBuffer[] buffers = [.. inputs.Select(values => CudaBuffer.From<ushort>(device, values))];
        using var mask = DeviceBlockMask.FromHost(device, 1, 3, (_, query, key) => query != 0 || key == 0, withLists: true);
        AttentionTensor Tensor(CudaBuffer buffer) => AttentionTensor.HeadsFirst(buffer.Pointer, ElementType.BFloat16, 1, 1, tokens, HeadSize);
        foreach (var kernel in kernels)
        {
            using var output = new CudaBuffer(device, 2L * count);
            output.Fill(0);
            using var attention = new EightBitAttention(device, kernel);
            attention.Run(Tensor(buffers[0]), Tensor(buffers[1]), Tensor(buffers[2]), Tensor(output), offsets, mask);
            var rows = Element16.Decode(ElementType.BFloat16, output.ToArray<ushort>(count)).Chunk(HeadSize).Select(row => row.All(double.IsFinite)).ToArray();
            // Of a query its block's rows, of a key or a value at least all that attend to its block.
            Assert.All(rows[64..(which == 0 ? 128 : tokens)], isFinite => Assert.False(isFinite, $"{kernel}"));
        }

        foreach (var buffer in buffers)
        {
            buffer.Dispose();
        }
    }

    [Fact, Trait("gpu", "true")]
    public void Other_head_sizes_are_refused()
    {
        var device = Gpu.Require();
        Gpu.EightBitKernels(device);
        using var attention = new EightBitAttention(device);
        using var offsets = new BlockOffsets(device, [64]);
        using var mask = new DeviceBlockMask(device, 1, 1);
        using var buffer = new CudaBuffer(device, 64 * 64 * 2);
        var x = AttentionTensor.HeadsFirst(buffer.Pointer, ElementType.BFloat16, 1, 1, 64, 64);
        Assert.Contains("Head size 64", Assert.Throws<ArgumentException>(() => attention.Run(x, x, x, x, offsets, mask)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_reference_rounds_to_fp8_as_the_format_says()
    {
        Assert.Equal(448, ReferenceEightBits.Decode(126));
        Assert.Equal(-1.125, ReferenceEightBits.Decode(0x80 | 0x39));
        Assert.Equal(448, ReferenceEightBits.RoundFp8(1000));
        Assert.Equal(1, ReferenceEightBits.RoundFp8(1.0625));       // a tie, to the even code
        Assert.Equal(1.25, ReferenceEightBits.RoundFp8(1.1875));
        Assert.Equal(-Math.Pow(2, -9), ReferenceEightBits.RoundFp8(-0.0017));
    }

    private static void AddToAll(double[] x, double size, ElementType type = ElementType.BFloat16)
    {
        for (var i = 0; i < x.Length; i++)
        {
            x[i] = Element16.Round(type, x[i] + size * Math.Cos(i % HeadSize));
        }
    }

    private static void Scale(double[] x, Func<int, double> factor)
    {
        for (var i = 0; i < x.Length; i++)
        {
            x[i] = Element16.Round(ElementType.BFloat16, x[i] * factor(i));
        }
    }

    private static void Check(
        ElementType type, int batch, int heads, int[] sizes, double density, bool tokensFirst, Action<double[], double[], double[]>? prepare = null,
        Func<int, int, bool>? keeps = null, Func<int, int, int>? part = null, double toExact = ToExact)
    {
        var device = Gpu.Require();
        var kernels = Gpu.EightBitKernels(device);
        var draw = new Draw(sizes.Length * 31 + heads);
        using var offsets = new BlockOffsets(device, sizes);
        var (rows, tokens, blocks) = (batch * heads, offsets.Tokens, offsets.Blocks);
        var count = rows * tokens * HeadSize;
        double[] q = draw.Normals(count, type), k = draw.Normals(count, type), v = draw.Normals(count, type);
        prepare?.Invoke(q, k, v);

        var kept = new bool[rows, blocks, blocks];
        for (var i = 0; i < kept.Length; i++)
        {
            // The second block of the last head keeps nothing, if there are others.
            var (head, query, key) = (i / blocks / blocks, i / blocks % blocks, i % blocks);
            kept[head, query, key] = draw.Chance(density) && !(blocks > 3 && head == rows - 1 && query == 1) && keeps?.Invoke(query, key) != false;
        }

        bool Keeps(int head, int query, int key) => kept[head, query, key];
        var (exact, _) = ReferenceAttention.Run(q, k, v, rows, HeadSize, offsets.Offsets, Keeps);
        var (q8, k8, v8) = ReferenceEightBits.Run(q, k, v, rows, offsets.Offsets);
        var (quantised, lse) = ReferenceAttention.Run(q8, k8, v8, rows, HeadSize, offsets.Offsets, Keeps);

        int Place(int i)
        {
            var (row, token, d) = (i / HeadSize / tokens, i / HeadSize % tokens, i % HeadSize);
            return tokensFirst ? ((row / heads * tokens + token) * heads + row % heads) * HeadSize + d : i;
        }

        CudaBuffer Upload(double[] x)
        {
            var bits = new ushort[count];
            for (var i = 0; i < count; i++)
            {
                bits[Place(i)] = Element16.Encode(type, x[i]);
            }

            return CudaBuffer.From<ushort>(device, bits);
        }

        AttentionTensor Tensor(CudaBuffer buffer) => tokensFirst
            ? AttentionTensor.TokensFirst(buffer.Pointer, type, batch, heads, tokens, HeadSize)
            : AttentionTensor.HeadsFirst(buffer.Pointer, type, batch, heads, tokens, HeadSize);

        using CudaBuffer onQ = Upload(q), onK = Upload(k), onV = Upload(v);
        using var mask = DeviceBlockMask.FromHost(device, rows, blocks, Keeps, withLists: true);
        foreach (var kernel in kernels)
        {
            using var output = Gpu.Poisoned(device, 2L * count);
            using var onLse = Gpu.Poisoned(device, 4L * rows * tokens);
            using var attention = new EightBitAttention(device, kernel);
            attention.Run(Tensor(onQ), Tensor(onK), Tensor(onV), Tensor(output), offsets, mask, logSumExp: onLse.Pointer);
            var bits = output.ToArray<ushort>(count);
            double[] y = [.. Enumerable.Range(0, count).Select(i => Element16.Decode(type, bits[Place(i)]))];
            // A row that attends to nothing is zeros to the bit.
            Assert.All(Enumerable.Range(0, count).Where(i => double.IsNegativeInfinity(lse[i / HeadSize])), i => Assert.Equal(0, y[i]));
            // Each part by itself, so that large numbers of one do not hide small ones of another.
            foreach (var elements in Enumerable.Range(0, count).GroupBy(i => part?.Invoke(i / HeadSize % tokens, i % HeadSize) ?? 0))
            {
                double[] Of(double[] x) => [.. elements.Select(i => x[i])];
                AssertNear(Of(y), Of(exact), toExact, $"{kernel}, part {elements.Key}, exact attention");
                AssertNear(Of(y), Of(quantised), ToQuantised, $"{kernel}, part {elements.Key}, that of the quantised tensors");
            }

            var measured = onLse.ToArray<float>(rows * tokens);
            double sum = 0;
            for (var i = 0; i < measured.Length; i++)
            {
                var isEmpty = double.IsNegativeInfinity(lse[i]);
                Assert.True(
                    isEmpty ? float.IsNegativeInfinity(measured[i]) : Math.Abs(measured[i] - lse[i]) < ToLogSumExp,
                    $"{kernel}: lse {i} is {measured[i]}; exact {lse[i]}.");
                sum += isEmpty ? 0 : measured[i] - lse[i];
            }

            Assert.True(Math.Abs(sum / measured.Length) < Bias, $"{kernel}: lse is {sum / measured.Length} off on average.");
        }
    }

    private static void AssertNear(double[] y, double[] reference, double allowed, string what)
    {
        var size = Math.Sqrt(reference.Sum(x => x * x));
        var distance = Math.Sqrt(y.Zip(reference, (a, b) => (a - b) * (a - b)).Sum());
        TestContext.Current.TestOutputHelper?.WriteLine($"{what}: {distance / size:0.0000}");
        // Not "greater than": NaN must fail.
        Assert.True(distance <= allowed * size, $"{what}: the distance is {distance / size:0.0000} of the reference; allowed is {allowed}");
    }
}
