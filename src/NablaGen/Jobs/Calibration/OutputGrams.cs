using NablaGen.Models;
using static TorchSharp.torch;

namespace NablaGen.Jobs.Calibration;

/// <summary>
/// How much a change of a head's output moves the attention's own, after the output projection: ‖W_h δ‖² = δᵀ (W_hᵀ W_h) δ, with W_h the
/// columns of the output projection that take the head. Kept are the small matrices W_hᵀ W_h.
/// </summary>
internal sealed class OutputGrams : IDisposable
{
    private readonly Tensor[] _layers;

    private OutputGrams(Tensor[] layers) => _layers = layers;

    /// <summary>Those of a model, on a device in float32.</summary>
    public static OutputGrams Read(VideoModel model, Device device)
    {
        using var noGrad = no_grad();
        using var source = model.OpenTransformer();
        var transformer = model.Transformer;
        var layers = new Tensor[transformer.Layers];
        for (var layer = 0; layer < layers.Length; layer++)
        {
            using var scope = NewDisposeScope();
            var weight = empty([transformer.Width, transformer.Width], ScalarType.Float32);
            source.CopyTo(model.AttentionOutputKey(layer), weight);
            var heads = weight.unflatten(1, [transformer.Heads, transformer.HeadDim]).permute(1, 0, 2);
            layers[layer] = heads.transpose(1, 2).matmul(heads).to(device).DetachFromDisposeScope();
        }

        return new OutputGrams(layers);
    }

    /// <summary>By head, the squared norm of W_h x_h over all tokens of a batch.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="x">Outputs of the heads, or their differences. [B, H, L, D]</param>
    /// <returns>float32 on the device. [H]</returns>
    public Tensor Squares(int layer, Tensor x)
    {
        using var scope = NewDisposeScope();
        // A head at a time: all of them in float32 would be the size of the largest tensors there are.
        var squares = Enumerable.Range(0, (int)x.shape[1]).Select(head =>
        {
            using var inner = NewDisposeScope();
            var one = x.select(1, head).to_type(ScalarType.Float32);
            return (one.matmul(_layers[layer][head]) * one).sum().MoveToOuterDisposeScope();
        });
        return stack(squares.ToArray()).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var layer in _layers)
        {
            layer.Dispose();
        }
    }
}
