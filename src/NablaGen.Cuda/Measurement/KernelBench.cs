namespace NablaGen.Cuda;

/// <summary>
/// Times every kernel on one self-attention's shapes. Q and K vary smoothly from block to block under noise, so that NABLA's masks
/// have the neighbourhoods that real ones have; random masks are timed beside them.
/// </summary>
public sealed class KernelBench : IDisposable
{
    private const int Waves = 24;

    private readonly CudaDevice _device;
    private readonly BenchShape _shape;
    private readonly int _repeats;
    private readonly BlockOffsets _offsets;
    private readonly CudaBuffer _q, _k, _v, _output;

    /// <summary>Makes the data.</summary>
    /// <param name="device">Where.</param>
    /// <param name="shape">The self-attention.</param>
    /// <param name="repeats">Runs of each kernel after a warm-up, of which the median is taken.</param>
    public KernelBench(CudaDevice device, BenchShape shape, int repeats = 5)
    {
        _device = device;
        _shape = shape;
        _repeats = repeats;
        _offsets = new BlockOffsets(device, [.. Enumerable.Repeat(BlockOffsets.BlockSize, shape.Blocks)]);
        var noise = Noise(1 << 20);
        _q = CudaBuffer.From<ushort>(device, Smooth(noise, seed: 1));
        _k = CudaBuffer.From<ushort>(device, Smooth(noise, seed: 2));
        _v = CudaBuffer.From<ushort>(device, Smooth(noise, seed: 3));
        _output = new CudaBuffer(device, 2L * shape.Elements);
    }

    /// <summary>Runs everything; each kernel is compiled or read from the cache before it is timed.</summary>
    /// <param name="densities">Densities of the masks to attend with, each above 0 and at most 1.</param>
    public IEnumerable<KernelTime> Run(IReadOnlyList<double> densities)
    {
        foreach (var time in Passes())
        {
            yield return time;
        }

        AttentionTensor q = Tensor(_q), k = Tensor(_k), v = Tensor(_v), output = Tensor(_output);
        using var nabla = new NablaMask(_device);
        using var mask = new BlockMask(_device, _shape.Heads, _shape.Blocks, withLists: true);
        using var bits = new BlockMask(_device, _shape.Heads, _shape.Blocks, withLists: false);
        using var pooled = new CudaBuffer(_device, 8L * _shape.Heads * _shape.Blocks * _shape.HeadSize);
        var pooledK = pooled.Pointer + (nint)(pooled.Bytes / 2);
        var pooling = new BlockPooling(_device);
        yield return Bytes("pooling", "Q and K", 4.0 * _shape.Elements, () => pooling.Run(q, k, _offsets, pooled.Pointer, pooledK));
        yield return Bytes("mask", "from pooled blocks, bits", 0,
            () => nabla.Run(pooled.Pointer, pooledK, _shape.HeadSize, _offsets, 0.6, null, bits));
        yield return Bytes("mask", "all, bits", 4.0 * _shape.Elements, () => nabla.Run(q, k, _offsets, 0.6, null, bits));
        yield return Bytes("mask", "all, bits and lists", 4.0 * _shape.Elements, () => nabla.Run(q, k, _offsets, 0.6, null, mask));
        using var kept = new CudaBuffer(_device, 8L * _shape.Heads);
        var counts = new MaskCounts(_device);
        yield return Bytes("mask", "blocks kept by head", 4.0 * _shape.Heads * _shape.Blocks, () => counts.Run(mask, kept.Pointer));

        using var turned = new CudaBuffer(_device, bits.AllBits.Bytes);
        var transpose = new MaskTranspose(_device);
        yield return Bytes("mask", "transposed", 2.0 * turned.Bytes, () => transpose.Run(bits.AllBits, turned.Pointer));

        using var best = new BlockAttention(_device);
        using var ampere = new BlockAttention(_device, AttentionKernel.Ampere);
        using var backward = new BlockAttentionBackward(_device);
        using var backwardAmpere = new BlockAttentionBackward(_device, AttentionKernel.Ampere);
        using CudaBuffer logSumExp = new(_device, 4L * _shape.Heads * _shape.Tokens), gradientQ = new(_device, 2L * _shape.Elements),
            gradientK = new(_device, 2L * _shape.Elements), gradientV = new(_device, 2L * _shape.Elements);
        var gradients = new AttentionGradients(Tensor(gradientQ), Tensor(gradientK), Tensor(gradientV));
        foreach (var density in densities)
        {
            MakeDensity(nabla, q, k, mask, density);
            var share = mask.Density();
            yield return Flops(
                "attention", $"NABLA mask, density {share:0.000}", share, () => best.Run(q, k, v, output, _offsets, mask));
            best.Run(q, k, v, output, _offsets, mask, logSumExp: logSumExp.Pointer);
            // Its output's gradient is of no matter for the time: V's values serve.
            yield return Flops(
                "attention, gradients", $"NABLA mask, density {share:0.000}", share,
                () => backward.Run(q, k, v, output, logSumExp.Pointer, v, gradients, _offsets, mask.AllBits), products: 5);
            yield return Flops(
                "gradients (Ampere)", $"NABLA mask, density {share:0.000}", share,
                () => backwardAmpere.Run(q, k, v, output, logSumExp.Pointer, v, gradients, _offsets, mask.AllBits), products: 5);
            yield return Flops(
                "attention (Ampere)", $"NABLA mask, density {share:0.000}", share, () => ampere.Run(q, k, v, output, _offsets, mask));
            var random = new Random(5);
            using var scattered = BlockMask.FromHost(
                _device, 1, _shape.Blocks, (_, query, key) => query == key || random.NextDouble() < density, withLists: true);
            share = scattered.Density();
            yield return Flops(
                "attention", $"random mask, density {share:0.000}", share, () => best.Run(q, k, v, output, _offsets, scattered));
            best.Run(q, k, v, output, _offsets, scattered, logSumExp: logSumExp.Pointer);
            yield return Flops(
                "attention, gradients", $"random mask, density {share:0.000}", share,
                () => backward.Run(q, k, v, output, logSumExp.Pointer, v, gradients, _offsets, scattered.AllBits), products: 5);
        }
    }

    /// <summary>Frees the data.</summary>
    public void Dispose()
    {
        _offsets.Dispose();
        _q.Dispose();
        _k.Dispose();
        _v.Dispose();
        _output.Dispose();
    }

    private IEnumerable<KernelTime> Passes()
    {
        var (tokens, columns, elements) = (_shape.Tokens, _shape.Heads * _shape.HeadSize, (double)_shape.Elements);
        using var stream = new CudaBuffer(_device, 4L * _shape.Elements);
        stream.Fill(0x3c);
        using var vectors = new CudaBuffer(_device, 4L * Math.Max(6 * columns, tokens * _shape.HeadSize));
        vectors.Fill(0x3c);
        using var means = new CudaBuffer(_device, 4L * _shape.Blocks * columns);
        var (norm, rope) = (new LayerNormModulate(_device), new RmsNormRope(_device));
        var (gate, gateNorm, gelu) = (new GateResidual(_device), new GateResidualNorm(_device), new GeluTanh(_device));
        yield return Bytes("LayerNorm, modulation", $"{tokens} × {columns}", 6 * elements,
            () => norm.Run(
                stream.Pointer, _output.Pointer, ElementType.BFloat16, tokens, columns, 1e-6f, scale: vectors.Pointer,
                shift: vectors.Pointer));
        yield return Bytes("RMSNorm, RoPE, pooling", "Q or K", 4 * elements,
            () => rope.Run(
                _q.Pointer, _output.Pointer, ElementType.BFloat16, 1, _shape.Heads, _shape.HeadSize, _offsets, vectors.Pointer, false,
                vectors.Pointer, 1e-6f, means.Pointer));
        yield return Bytes("gate, residual", $"{tokens} × {columns}", 10 * elements,
            () => gate.Run(stream.Pointer, _q.Pointer, ElementType.BFloat16, tokens, columns, vectors.Pointer));
        yield return Bytes("gate, residual, LayerNorm, modulation", $"{tokens} × {columns}", 12 * elements,
            () => gateNorm.Run(
                stream.Pointer, _q.Pointer, _output.Pointer, ElementType.BFloat16, tokens, columns, 1e-6f, vectors.Pointer,
                scale: vectors.Pointer, shift: vectors.Pointer));
        yield return Bytes("GELU", $"{tokens} × {columns}", 4 * elements,
            () => gelu.Run(_q.Pointer, _output.Pointer, ElementType.BFloat16, _shape.Elements));
        const int channels = 96;
        var (silu, pixels) = (new RmsNormSilu(_device), _shape.Elements / channels);
        yield return Bytes("RMSNorm, SiLU (VAE)", $"{pixels} × {channels}", 4.0 * pixels * channels,
            () => silu.Run(_q.Pointer, _output.Pointer, ElementType.BFloat16, pixels, channels, vectors.Pointer, silu: true));
    }

    private AttentionTensor Tensor(CudaBuffer buffer) =>
        AttentionTensor.TokensFirst(buffer.Pointer, ElementType.BFloat16, 1, _shape.Heads, _shape.Tokens, _shape.HeadSize);

    private KernelTime Bytes(string kernel, string what, double bytes, Action work)
    {
        var milliseconds = CudaTimer.Median(_device, work, _repeats);
        return new KernelTime(kernel, what, milliseconds, bytes / milliseconds / 1e9, "TB/s");
    }

    // `products`: of the tokens' matrix with a head; two in the attention, five in its gradients however a kernel comes by them.
    private KernelTime Flops(string kernel, string what, double density, Action work, int products = 2)
    {
        var milliseconds = CudaTimer.Median(_device, work, _repeats);
        var flops = 2.0 * products * _shape.Tokens * _shape.Tokens * _shape.HeadSize * _shape.Heads * density;
        return new KernelTime(kernel, what, milliseconds, flops / milliseconds / 1e9, "TFLOP/s");
    }

    private void MakeDensity(NablaMask nabla, AttentionTensor q, AttentionTensor k, BlockMask mask, double density)
    {
        double low = 0, high = 1;
        for (var i = 0; i < 12; i++)
        {
            var middle = (low + high) / 2;
            nabla.Run(q, k, _offsets, middle, null, mask);
            if (mask.Density() < density)
            {
                low = middle;
            }
            else
            {
                high = middle;
            }
        }
    }

    // [tokens, heads, head size]: a smooth field over the blocks' places plus noise, about unit size.
    private ushort[] Smooth(float[] noise, int seed)
    {
        var (heads, size) = (_shape.Heads, _shape.HeadSize);
        var values = new ushort[_shape.Elements];
        var random = new Random(7);
        var waves = Enumerable.Range(0, Waves)
            .Select(_ => (T: Signed(random), H: Signed(random), W: Signed(random), Phase: random.NextDouble() * 7))
            .ToArray();
        Parallel.For(0, _shape.Blocks, block =>
        {
            var (t, h, w) = _shape.Place(block);
            var amplitudes = waves
                .Select(wave => (float)(0.2 * Math.Sin(wave.T * t + wave.H * h + wave.W * w + wave.Phase)))
                .ToArray();
            var field = new float[heads * size];
            for (var wave = 0; wave < Waves; wave++)
            {
                var from = (int)((uint)(wave * 7919) % (uint)(noise.Length - field.Length));
                for (var i = 0; i < field.Length; i++)
                {
                    field[i] += amplitudes[wave] * noise[from + i];
                }
            }

            for (var token = block * BlockOffsets.BlockSize; token < (block + 1) * BlockOffsets.BlockSize; token++)
            {
                var from = (int)((uint)((token + seed * 977) * 104_729) % (uint)(noise.Length - field.Length));
                for (var i = 0; i < field.Length; i++)
                {
                    values[(long)token * field.Length + i] = ToBFloat16(field[i] + 0.8f * noise[from + i]);
                }
            }
        });
        return values;
    }

    private static double Signed(Random random) => random.NextDouble() - 0.5;

    private static float[] Noise(int count)
    {
        var random = new Random(11);
        return [.. Enumerable.Range(0, count).Select(
            _ => (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble())))];
    }

    private static ushort ToBFloat16(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        return (ushort)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
}
