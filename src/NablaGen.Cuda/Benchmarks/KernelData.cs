using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Benchmarks;

/// <summary>
/// The data that the kernels of one <see cref="BenchShape"/> are timed on, each piece made when first asked for. Q and K vary smoothly from
/// block to block under noise, so that NABLA's masks have the neighbourhoods that real ones have. Nothing is left at zero.
/// </summary>
internal sealed class KernelData : IDisposable
{
    private const int Waves = 24;

    private readonly Dictionary<string, IDisposable> _made = [];

    public KernelData(CudaDevice device, BenchShape shape, IReadOnlyList<double> densities, double randomDensity)
    {
        (Device, Shape, Densities, RandomDensity) = (device, shape, densities, randomDensity);
    }

    public CudaDevice Device { get; }

    public BenchShape Shape { get; }

    /// <summary>Densities of the masks that NABLA makes.</summary>
    public IReadOnlyList<double> Densities { get; }

    /// <summary>The density of the mask that chance makes.</summary>
    public double RandomDensity { get; }

    public BlockOffsets Offsets => Make(
        "offsets", () => new BlockOffsets(Device, [.. Enumerable.Repeat(BlockOffsets.BlockSize, Shape.Blocks)]));

    public CudaBuffer Q => Make("q", () => CudaBuffer.From<ushort>(Device, Smooth(1)));

    public CudaBuffer K => Make("k", () => CudaBuffer.From<ushort>(Device, Smooth(2)));

    public CudaBuffer V => Make("v", () => CudaBuffer.From<ushort>(Device, Smooth(3)));

    /// <summary>Room for one more such tensor; what it holds at first is undefined.</summary>
    public CudaBuffer Output => Room("output", 2L * Shape.Elements);

    /// <summary>The residual stream, float32.</summary>
    public CudaBuffer Stream => Make("stream", () => BenchNoise.Floats(Device, Shape.Elements));

    /// <summary>Weights, modulation and angles: float32, enough for any of them.</summary>
    public CudaBuffer Vectors => Make(
        "vectors", () => BenchNoise.Floats(Device, Math.Max(6L * Shape.Columns, (long)Shape.Tokens * Shape.HeadSize)));

    /// <summary>Q and K pooled, as <see cref="BlockPooling"/> leaves them.</summary>
    public (nint Q, nint K) Pooled
    {
        get
        {
            var made = Make("pooled", () =>
            {
                var room = new CudaBuffer(Device, 8L * Shape.Heads * Shape.Blocks * Shape.HeadSize);
                new BlockPooling(Device).Run(Tensor(Q), Tensor(K), Offsets, room.Pointer, room.Pointer + (nint)(room.Bytes / 2));
                return room;
            });
            return (made.Pointer, made.Pointer + (nint)(made.Bytes / 2));
        }
    }

    public NablaMaskBuilder Nabla => Make("nabla", () => new NablaMaskBuilder(Device));

    /// <summary>A buffer by name.</summary>
    public CudaBuffer Room(string name, long bytes) => Make(name, () => new CudaBuffer(Device, bytes));

    /// <summary>What is made once and freed with the rest.</summary>
    public T Make<T>(string name, Func<T> make)
        where T : IDisposable
    {
        if (!_made.TryGetValue(name, out var made))
        {
            _made.Add(name, made = make());
        }

        return (T)made;
    }

    /// <summary>A buffer as the kernels see it.</summary>
    public AttentionTensor Tensor(CudaBuffer buffer) =>
        AttentionTensor.TokensFirst(buffer.Pointer, ElementType.BFloat16, 1, Shape.Heads, Shape.Tokens, Shape.HeadSize);

    /// <summary>NABLA's mask at the threshold that keeps nearly that share, bits and lists.</summary>
    public DeviceBlockMask NablaMaskBuilder(double density) => Make($"mask {density}", () =>
    {
        var mask = new DeviceBlockMask(Device, Shape.Heads, Shape.Blocks, withLists: true);
        double low = 0, high = 1;
        for (var i = 0; i < 12; i++)
        {
            var middle = (low + high) / 2;
            Nabla.Run(Tensor(Q), Tensor(K), Offsets, middle, null, mask);
            (low, high) = mask.Density() < density ? (middle, high) : (low, middle);
        }

        return mask;
    });

    /// <summary>One mask for all heads that keeps each pair of blocks by chance, and each block's own.</summary>
    public DeviceBlockMask RandomMask(double density) => Make($"random mask {density}", () =>
    {
        var random = new Random(5);
        return DeviceBlockMask.FromHost(Device, 1, Shape.Blocks, (_, query, key) => query == key || random.NextDouble() < density, withLists: true);
    });

    /// <summary>NABLA's mask at each density and the random one, with their names.</summary>
    public IEnumerable<(string Name, DeviceBlockMask Mask)> Masks()
    {
        foreach (var density in Densities)
        {
            var mask = NablaMaskBuilder(density);
            yield return ($"NABLA mask, density {mask.Density():0.000}", mask);
        }

        var random = RandomMask(RandomDensity);
        yield return ($"random mask, density {random.Density():0.000}", random);
    }

    /// <summary>The mask that keeps everything, with its name.</summary>
    public (string Name, DeviceBlockMask Mask) Dense() =>
        ("dense", Make("dense mask", () => DeviceBlockMask.FromHost(Device, 1, Shape.Blocks, (_, _, _) => true, withLists: true)));

    public void Dispose()
    {
        foreach (var made in _made.Values)
        {
            made.Dispose();
        }

        _made.Clear();
    }

    // [tokens, heads, head size]: a smooth field over the blocks' places plus noise, about unit size.
    private ushort[] Smooth(int seed)
    {
        var noise = BenchNoise.Host;
        var columns = Shape.Columns;
        var values = new ushort[Shape.Elements];
        var random = new Random(7);
        var waves = Enumerable.Range(0, Waves)
            .Select(_ => (T: Signed(random), H: Signed(random), W: Signed(random), Phase: random.NextDouble() * 7))
            .ToArray();
        Parallel.For(0, Shape.Blocks, block =>
        {
            var (t, h, w) = Shape.Place(block);
            var amplitudes = waves
                .Select(wave => (float)(0.2 * Math.Sin(wave.T * t + wave.H * h + wave.W * w + wave.Phase)))
                .ToArray();
            var field = new float[columns];
            for (var wave = 0; wave < Waves; wave++)
            {
                var from = (int)((uint)(wave * 7919) % (uint)(noise.Length - columns));
                for (var i = 0; i < columns; i++)
                {
                    field[i] += amplitudes[wave] * noise[from + i];
                }
            }

            for (var token = block * BlockOffsets.BlockSize; token < (block + 1) * BlockOffsets.BlockSize; token++)
            {
                var from = (int)((uint)((token + seed * 977) * 104_729) % (uint)(noise.Length - columns));
                for (var i = 0; i < columns; i++)
                {
                    values[(long)token * columns + i] = BenchNoise.ToBFloat16(field[i] + 0.8f * noise[from + i]);
                }
            }
        });
        return values;
    }

    private static double Signed(Random random) => random.NextDouble() - 0.5;
}
