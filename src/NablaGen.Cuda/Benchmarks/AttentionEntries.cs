using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Benchmarks;

/// <summary>The attentions and their gradients, at each density. A Hopper kernel's time has its plan's in it, a gradient's all its kernels'.</summary>
internal static class AttentionEntries
{
    public static IReadOnlyList<KernelEntry> All { get; } =
    [
        new("block_attention_sm90", data => Forward(data, AttentionKernel.Hopper), KernelNeeds.Hopper),
        new("block_attention_sm80", data => Forward(data, AttentionKernel.Ampere)),
        new("text_attention_sm90", ToText, KernelNeeds.Hopper),
        new("attention_backward_sums", Sums),
        new("block_attention_backward_sm90", data => Backward(data, AttentionKernel.Hopper), KernelNeeds.Hopper),
        new("block_attention_backward_sm80", data => Backward(data, AttentionKernel.Ampere)),
    ];

    private static IEnumerable<KernelLoad> Forward(KernelData data, AttentionKernel kernel)
    {
        var attention = data.Make($"attention {kernel}", () => new BlockAttention(data.Device, kernel));
        foreach (var (name, mask) in data.Masks())
        {
            yield return Products(data, name, mask, 2, () => attention.Run(
                data.Tensor(data.Q), data.Tensor(data.K), data.Tensor(data.V), data.Tensor(data.Output), data.Offsets, mask));
        }
    }

    // To a prompt of so many tokens, its padding among them.
    private static IEnumerable<KernelLoad> ToText(KernelData data)
    {
        var (shape, attention) = (data.Shape, new TextAttention(data.Device));
        foreach (var keys in new[] { 27, 128, TextAttention.MostKeys })
        {
            AttentionTensor Text(CudaBuffer buffer) => AttentionTensor.TokensFirst(buffer.Pointer, ElementType.BFloat16, 1, shape.Heads, keys, shape.HeadSize);
            yield return new KernelLoad($"{shape.Tokens} × {shape.Columns} to {keys}", 4.0 * shape.Elements, KernelLoad.Bytes, () => attention.Run(
                data.Tensor(data.Q), Text(data.K), Text(data.V), data.Tensor(data.Output), copies: 512 - keys));
        }
    }

    private static KernelLoad Sums(KernelData data)
    {
        var (backward, shape) = (Gradients(data, AttentionKernel.Best), data.Shape);
        Attend(data, data.NablaMaskBuilder(data.Densities[^1]));
        var sums = data.Room("sums", 8L * shape.Heads * shape.Tokens);
        return new KernelLoad($"{shape.Tokens} × {shape.Columns}", 4.0 * shape.Elements + 12.0 * shape.Heads * shape.Tokens, KernelLoad.Bytes,
            () => backward.Sums(data.Tensor(data.Output), data.Tensor(data.V), LogSumExp(data).Pointer, sums.Pointer, 0));
    }

    private static IEnumerable<KernelLoad> Backward(KernelData data, AttentionKernel kernel)
    {
        var backward = Gradients(data, kernel);
        var gradients = new AttentionGradients(
            data.Tensor(data.Room("gradient of q", data.Q.Bytes)), data.Tensor(data.Room("gradient of k", data.Q.Bytes)),
            data.Tensor(data.Room("gradient of v", data.Q.Bytes)));
        foreach (var (name, mask) in data.Masks())
        {
            Attend(data, mask);
            // Five products, however a kernel comes by its gradients. The output's gradient is of no matter for the time: V's values serve.
            yield return Products(data, name, mask, 5, () => backward.Run(
                data.Tensor(data.Q), data.Tensor(data.K), data.Tensor(data.V), data.Tensor(data.Output), LogSumExp(data).Pointer,
                data.Tensor(data.V), gradients, data.Offsets, mask.AllBits));
        }
    }

    // The output and the log-sum-exp that the gradients are of.
    private static void Attend(KernelData data, DeviceBlockMask mask) => data.Make("attention", () => new BlockAttention(data.Device)).Run(
        data.Tensor(data.Q), data.Tensor(data.K), data.Tensor(data.V), data.Tensor(data.Output), data.Offsets, mask,
        logSumExp: LogSumExp(data).Pointer);

    private static BlockAttentionBackward Gradients(KernelData data, AttentionKernel kernel) => data.Make(
        $"gradients {kernel}", () => new BlockAttentionBackward(data.Device, kernel));

    private static CudaBuffer LogSumExp(KernelData data) => data.Room("log-sum-exp", 4L * data.Shape.Heads * data.Shape.Tokens);

    // `products`: of the tokens' matrix with a head.
    private static KernelLoad Products(KernelData data, string what, DeviceBlockMask mask, int products, Action work)
    {
        var shape = data.Shape;
        var pairs = (double)shape.Tokens * shape.Tokens * mask.Density();
        return new KernelLoad(what, 2.0 * products * pairs * shape.HeadSize * shape.Heads, KernelLoad.Products, work);
    }
}
