using NablaGen.Attention;
using NablaGen.Models.Wan.Dit;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models;

public class DitGoldenTests
{
    public static TheoryData<string> Expressions()
    {
        using var golden = Golden.Open("dit");
        return new TheoryData<string>(["dense", .. golden.List("algorithms")]);
    }

    public static TheoryData<string> SparseExpressions()
    {
        using var golden = Golden.Open("dit");
        return new TheoryData<string>(golden.List("algorithms"));
    }

    [Theory]
    [MemberData(nameof(Expressions))]
    public void Output_equals_the_reference(string expression)
    {
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("dit");
        Golden.AssertClose(Forward(golden, golden["x"], expression, null), golden["out." + expression], 1e-5);
    }

    [Theory]
    [MemberData(nameof(SparseExpressions))]
    public void Masks_equal_the_reference(string expression)
    {
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("dit");
        var masks = new MaskRecorder();
        Forward(golden, golden["x"], expression, masks);

        var expected = golden["mask." + expression].to_type(ScalarType.Bool);
        var (layers, heads, blocks) = (expected.shape[0], expected.shape[1], expected.shape[2]);
        Assert.Equal(layers, masks.Masks.Count);
        var kept = new bool[expected.NumberOfElements];
        foreach (var (site, mask) in masks.Masks)
        {
            Assert.Equal(heads, mask.Heads);
            for (var head = 0; head < heads; head++)
            {
                for (var row = 0; row < blocks; row++)
                {
                    foreach (var column in mask.Row(head, row))
                    {
                        kept[((site.Layer * heads + head) * blocks + row) * blocks + column] = true;
                    }
                }
            }
        }

        var actual = tensor(kept, expected.shape);
        Assert.InRange(actual.eq(expected).to_type(ScalarType.Float32).mean().item<float>(), 0.999, 1);
    }

    [Theory]
    [InlineData("dense")]
    [InlineData("nabla-1")]
    public void A_ragged_size_equals_the_reference(string expression)
    {
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("dit");
        Golden.AssertClose(Forward(golden, golden["x.ragged"], expression, null), golden["out.ragged.dense"], 1e-5);
    }

    private static Tensor Forward(Golden golden, Tensor x, string expression, IAttentionObserver? observer)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = golden.Dit();
        using var attention = AttentionFactory.Create(AttentionExpression.Parse(expression), CPU, denseSteps: 0, observer: observer);
        using var run = new DitRun(model.Config, (int)x.shape[1], (int)x.shape[2], (int)x.shape[3], attention, ModuleOptions.Cpu);
        return model.forward(x.unsqueeze(0), golden["t"], golden["context"].unsqueeze(0), run).squeeze(0).MoveToOuterDisposeScope();
    }
}
