using NablaGen.Tensors;
using NablaGen.Tensors.Layers;
using NablaGen.Tensors.Matrices;
using static TorchSharp.torch;

namespace NablaGen.Tests.Tensors;

public class MatrixTests
{
    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    public void A_dense_layer_multiplies_in_the_type_of_its_weights(ScalarType type)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var layer = new AutocastLinear(5, 3, new ModuleOptions(CPU, type));
        Assert.Equal(["weight", "bias"], layer.named_parameters().Select(pair => pair.name));
        foreach (var parameter in layer.parameters())
        {
            parameter.normal_(0, 1);
        }

        var matrix = Assert.IsType<DenseMatrix>(layer.Matrix);
        Assert.Equal((3, 5, 15L * (type == ScalarType.Float32 ? 4 : 2)), (matrix.Outputs, matrix.Inputs, matrix.Bytes));
        var x = randn(2, 4, 5);
        var y = layer.forward(x);
        Assert.Equal((type, true), (y.dtype, y.eq(nn.functional.linear(x.to_type(type), matrix.Weight, layer.Bias)).all().item<bool>()));
        Assert.Throws<NotSupportedException>(() => layer.forward(new Activation(x, ones(2, 4))));
    }

    [Fact]
    public void An_unknown_format_is_refused_by_name() => Assert.Contains(
        "'fp3' is not known: expected one of dense",
        Assert.Throws<NablaGenException>(() => new AutocastLinear(2, 2, ModuleOptions.Cpu with { MatrixFormat = "fp3" })).Message);

    [Fact]
    public void A_layer_frees_its_matrix()
    {
        var before = TorchSharp.DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        new AutocastLinear(4, 4, ModuleOptions.Cpu).Dispose();
        Assert.Equal(before, TorchSharp.DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }
}
