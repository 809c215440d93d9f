using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Tests.Tensors;

public class TensorArithmeticTests
{
    public static TheoryData<ScalarType> Types() => new() { ScalarType.Float32, ScalarType.BFloat16, ScalarType.Float64 };

    [Theory]
    [MemberData(nameof(Types))]
    public void Each_method_gives_the_operators_bits(ScalarType type)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        var x = randn([7, 9], generator: generator).to_type(type);
        var (y, z) = (randn([7, 9], generator: generator).to_type(type), randn([1, 9], generator: generator).to_type(type));
        Same(x + z, x.Plus(z));
        Same(x.add(y, 0.3), x.Plus(y, 0.3));
        Same(x + 0.1, x.Plus(0.1));
        Same(1 + x, x.Plus(1));
        Same(x - 0.1, x.Minus(0.1));
        Same(x - 3, x.Minus(3));
        Same(0.5f - x, x.SubtractedFrom(0.5));
        Same(3 - x, x.SubtractedFrom(3));
        Same(x * 0.3, x.Times(0.3));
        Same(x * 0.3f, x.Times(0.3f));
        Same(2 * x, x.Times(2));
        Same(x / 127.5, x.Over(127.5));
        Same(x / 7L, x.Over(7));
        Same(0.7 / x, x.DividedInto(0.7));
        Same(x.square(), x.Squared());
        Same(x.clamp(-1, 0.6), x.Clamped(-1, 0.6));
        Same(x.clamp(min: 1e-12), x.AtLeast(1e-12));
        Same(x.clamp(max: 1), x.AtMost(1));
        Same(x.clamp(max: 0.3), x.AtMost(0.3));
        Same(addcmul(x, y, z, 1), x.PlusProduct(y, z));
        Same(x.lt(0.2), x.IsBelow(0.2));
        Same(x <= 0.2, x.IsAtMost(0.2));
        Same(x.masked_fill(y.gt(0), -7), x.Masked(y.IsAbove(0), -7));
        Same(full([2, 3], 0.3, type, CPU), TensorArithmetic.Full([2, 3], 0.3, type, CPU));
        Same(arange(9, dtype: type, device: CPU), TensorArithmetic.Range(9, CPU, type));
        InPlace(x, a => a.add_(z), a => a.Plus_(z));
        InPlace(x, a => a.add_(y, -0.3), a => a.Plus_(y, -0.3));
        InPlace(x, a => a.add_(0.1), a => a.Plus_(0.1));
        InPlace(x, a => a.sub_(1), a => a.Minus_(1));
        InPlace(x, a => a.mul_(127.5f), a => a.Times_(127.5));
        InPlace(x, a => a.pow_(28), a => a.Power_(28));
        InPlace(x, a => a.clamp_(0, 1), a => a.Clamped_(0, 1));
        InPlace(x, a => a.addcmul_(y, z, 0.01), a => a.PlusProduct_(y, z, 0.01));
        InPlace(x, a => a.fill_(0.3), a => a.Fill_(0.3));
    }

    [Fact]
    public void Whole_numbers_leave_whole_numbers_whole()
    {
        using var scope = NewDisposeScope();
        var x = tensor(new long[] { -3, 0, 4, 9 });
        Same(x + 2, x.Plus(2));
        Same(x - 2, x.Minus(2));
        Same(5 - x, x.SubtractedFrom(5));
        Same(x * 16L, x.Times(16));
        Same(x / 4, x.Over(4));
        Same(x.clamp(min: 1), x.AtLeast(1));
        Same(x.clamp(max: 7), x.AtMost(7));
        Same(x.eq(4), x.IsEqualTo(4));
        Same(x.ne(4), x.IsNotEqualTo(4));
        Same(x.gt(0), x.IsAbove(0));
        Same(x.lt(4), x.IsBelow(4));
        Same(arange(4L), TensorArithmetic.Range(4, CPU));
    }

    [Fact]
    public void Gradients_pass()
    {
        using var scope = NewDisposeScope();
        var (x, y) = (arange(1, 5).to_type(ScalarType.Float32), ones(4));
        x.requires_grad_(true);
        x.Squared().Times(0.5).Plus(x.SubtractedFrom(1)).Plus(y, 2).Minus(3).Over(2).sum().backward();
        Same(((x - 1) / 2).detach(), x.grad!);
    }

    private static void InPlace(Tensor x, Func<Tensor, Tensor> theirs, Func<Tensor, Tensor> ours)
    {
        var (expected, actual) = (x.clone(), x.clone());
        theirs(expected);
        var returned = ours(actual);
        Same(expected, actual);
        Same(expected, returned);
    }

    private static void Same(Tensor expected, Tensor actual)
    {
        Assert.Equal(expected.dtype, actual.dtype);
        Assert.Equal(expected.shape, actual.shape);
        // NaN, where a negative number meets a broken power, is equal to itself here.
        Assert.True(expected.eq(actual).logical_or(expected.isnan().logical_and(actual.isnan())).all().item<bool>());
    }
}
