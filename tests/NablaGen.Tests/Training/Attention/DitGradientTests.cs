using NablaGen.Attention;
using NablaGen.Models.Wan.Dit;
using NablaGen.Tensors;
using NablaGen.Tests.Attention;
using NablaGen.Training.Attention;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Tests.Training.Attention;

/// <summary>A training step through the whole transformer, NABLA against dense attention under the masks that NABLA made.</summary>
public class DitGradientTests
{
    public static TheoryData<string> Expressions()
    {
        using var golden = Golden.Open("dit");
        return new TheoryData<string>(golden.List("algorithms"));
    }

    [Theory]
    [MemberData(nameof(Expressions))]
    public void Every_weight_gets_the_gradient_of_dense_attention_under_the_masks(string expression)
    {
        using var golden = Golden.Open("dit");
        Check(golden, "x", expression);
    }

    [Fact]
    public void A_ragged_size_does_too()
    {
        using var golden = Golden.Open("dit");
        Check(golden, "x.ragged", "nabla-0.4");
    }

    private static void Check(Golden golden, string input, string expression)
    {
        using var scope = NewDisposeScope();
        using var model = golden.Dit();
        foreach (var parameter in model.parameters())
        {
            parameter.requires_grad_(true);
        }

        var masks = new MaskRecorder();
        using var sparse = DifferentiableAttention.Create(AttentionExpression.Parse(expression), CPU, denseSteps: 0, observer: masks);
        var actual = Step(golden, model, golden[input], sparse);
        using var dense = new MaskedAttention(masks);
        var expected = Step(golden, model, golden[input], dense);

        Assert.Equal(model.Config.NumLayers, masks.Masks.Count);
        Assert.Contains(masks.Masks, mask => mask.Mask.Density < 0.9);
        Assert.Equal(expected.Keys, actual.Keys);
        foreach (var (name, gradient) in expected)
        {
            // A key's bias moves a row's scores alike, so its gradient is all rounding where no norm follows.
            var error = (actual[name] - gradient).norm() / (gradient.norm() + 1e-7);
            Assert.True(error.item<float>() < 1e-4, $"{name}: relative error {error.item<float>()}");
        }

        foreach (var part in new[] { "q", "k", "v", "o" })
        {
            Assert.True(expected[$"blocks.0.self_attn.{part}.weight"].abs().max().item<float>() > 0);
        }
    }

    // The gradient of every parameter, for the squared distance to a fixed velocity.
    private static Dictionary<string, Tensor> Step(Golden golden, WanModel model, Tensor x, IAttention attention)
    {
        model.zero_grad();
        using var run = new DitRun(model.Config, (int)x.shape[1], (int)x.shape[2], (int)x.shape[3], attention, ModuleOptions.Cpu);
        var output = model.forward(x.unsqueeze(0), golden["t"], golden["context"].unsqueeze(0), run);
        random.manual_seed(5);
        (output - randn_like(output)).square().mean().backward();
        return model.named_parameters().ToDictionary(p => p.name, p => p.parameter.grad!.clone());
    }

    /// <summary>libtorch's dense attention under masks that were recorded.</summary>
    private sealed class MaskedAttention(MaskRecorder masks) : IAttention
    {
        public Tensor Forward(Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionSite site, BlockMeans? means = null)
        {
            var mask = masks.Masks.Single(entry => entry.Site == site).Mask;
            return functional.scaled_dot_product_attention(q, k, v, BlockSparseTests.Expand(mask, (int)q.shape[0]));
        }

        public void Dispose()
        {
        }
    }
}
