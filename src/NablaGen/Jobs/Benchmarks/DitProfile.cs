using NablaGen.Attention;
using NablaGen.Models;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Jobs.Benchmarks;

/// <summary>
/// Where the time of a pass through a transformer goes: each of its operations alone, with a full queue, on random data of the pass's own shapes, and
/// beside it the floor that the device's rates for products and memory set, measured in the same run.
/// </summary>
public static class DitProfile
{
    /// <summary>Times every operation.</summary>
    /// <param name="model">The model, of which only the transformer's sizes are used.</param>
    /// <param name="latent">Latent frames, rows, columns.</param>
    /// <param name="expression">The self-attention.</param>
    /// <param name="options">Where, and in which type.</param>
    /// <param name="repeats">Timed calls of each; the median counts.</param>
    public static IReadOnlyList<DitOperation> Run(
        VideoModel model, (int Frames, int Height, int Width) latent, AttentionExpression expression, ModuleOptions options, int repeats)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var (flops, bytes) = Rates(options, repeats);
        var timed = new List<DitOperation>();
        foreach (var one in model.Operations([model.Transformer.Channels, latent.Frames, latent.Height, latent.Width], expression, options))
        {
            var (floor, limit) = one.Flops > 0 ? (one.Flops / flops, "products") : (one.Bytes / bytes, "memory");
            timed.Add(new DitOperation(one.Name, one.Calls, Time(one.Work, options.Device, repeats), floor, limit));
        }

        return timed;
    }

    // What the device does at best in a millisecond: a large square product, and a copy.
    private static (double Flops, double Bytes) Rates(ModuleOptions options, int repeats)
    {
        using var scope = NewDisposeScope();
        var onCpu = options.Device.type == TorchSharp.DeviceType.CPU;
        long side = onCpu ? 768 : 8192, count = onCpu ? 1 << 24 : 1 << 29;
        Tensor Square() => randn([side, side], device: options.Device).to_type(options.Dtype);
        var (a, b) = (Square(), Square());
        var flops = 2.0 * side * side * side / Time(() => a.matmul(b), options.Device, repeats);
        var from = zeros(count, ScalarType.Float32, options.Device);
        return (flops, 8.0 * count / Time(() => from.clone(), options.Device, repeats));
    }

    private static double Time(Func<Tensor> work, Device device, int repeats) => DeviceTimer.Median(device, () =>
    {
        using var scope = NewDisposeScope();
        work();
    }, repeats);
}
