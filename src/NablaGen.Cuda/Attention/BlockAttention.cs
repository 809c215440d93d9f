using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Attention;

/// <summary>
/// Softmax attention of each query block over the key blocks that a mask keeps for it. Holds a workspace, so keep one for a run; not
/// for several threads at once. The products are 16-bit with float32 sums; the output is rounded once.
/// </summary>
public sealed class BlockAttention : IDisposable
{
    private readonly CudaDevice _device;
    private readonly HopperAttention? _hopper;
    private readonly AmpereAttention? _ampere;

    /// <summary>The attention kernel on a device; it is compiled at first use.</summary>
    /// <param name="device">Where it runs.</param>
    /// <param name="kernel">Which kernel, for tests and measurements.</param>
    /// <exception cref="CudaException">The device cannot run that kernel.</exception>
    public BlockAttention(CudaDevice device, AttentionKernel kernel = AttentionKernel.Best)
    {
        _device = device;
        if (kernel == AttentionKernel.Hopper && !device.HasHopperKernels)
        {
            throw new CudaException($"{device.Name} ({device.Capability}, {device.Compiler}) cannot run the Hopper kernel.");
        }

        if (kernel == AttentionKernel.Ampere || !device.HasHopperKernels)
        {
            _ampere = new AmpereAttention(device);
        }
        else
        {
            _hopper = new HopperAttention(device);
        }
    }

    /// <summary>Bytes of the order of work that the Hopper kernel keeps beside the mask.</summary>
    /// <param name="heads">Batch times heads.</param>
    /// <param name="blocks">Blocks of tokens.</param>
    public static long PlanBytes(long heads, long blocks) => AttentionPlan.Bytes(heads, blocks);

    /// <summary>Puts the attention on the stream.</summary>
    /// <param name="q">Q.</param>
    /// <param name="k">K, of Q's shape and type.</param>
    /// <param name="v">V, of Q's shape and type.</param>
    /// <param name="output">Gets the result; Q's shape and type, any strides; none of the inputs.</param>
    /// <param name="offsets">The blocks.</param>
    /// <param name="mask">What is kept; a query block that keeps nothing gets zeros.</param>
    /// <param name="scale">Factor of the logits; by default 1/√(head size).</param>
    /// <param name="logSumExp">Device address of float32 [batch · heads, tokens] for the natural log of Σ exp(logit), or 0.</param>
    /// <param name="stream">The stream.</param>
    public void Run(
        AttentionTensor q, AttentionTensor k, AttentionTensor v, AttentionTensor output, BlockOffsets offsets, DeviceBlockMask mask,
        float? scale = null, nint logSumExp = 0, nint stream = 0)
    {
        q.Require("q", offsets);
        k.Require("k", offsets);
        v.Require("v", offsets);
        output.Require("output", offsets);
        k.RequireLike(q, "k");
        v.RequireLike(q, "v");
        output.RequireLike(q, "output");
        mask.Require(q.Rows, offsets.Blocks);
        if (mask.Device != _device)
        {
            throw new ArgumentException($"The mask lies on device {mask.Device.Ordinal}, the attention runs on {_device.Ordinal}.");
        }

        var factor = scale ?? (float)(1 / Math.Sqrt(q.HeadSize));
        if (!(factor > 0) || float.IsInfinity(factor))
        {
            throw new ArgumentException($"The softmax scale is {factor}; it must be positive.");
        }

        _hopper?.Run(q, k, v, output, offsets, mask, factor, logSumExp, stream);
        _ampere?.Run(q, k, v, output, offsets, mask, factor, logSumExp, stream);
    }

    /// <summary>Frees the workspace.</summary>
    public void Dispose() => _hopper?.Dispose();
}
