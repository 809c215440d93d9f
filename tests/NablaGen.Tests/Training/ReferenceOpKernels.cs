using NablaGen.Tests.Cuda;
using NablaGen.Training.Dit.Ops;
using static TorchSharp.torch;

namespace NablaGen.Tests.Training;

/// <summary>The passes of a training step by the kernels' naive references, on the CPU in float32.</summary>
internal sealed class ReferenceOpKernels : IOpKernels
{
    public (Tensor? Sum, Tensor? Normalized, Tensor? Statistics) AddAndNormalize(Tensor x, Tensor? y, Tensor? gate, OpNorm? norm)
    {
        using var scope = NewDisposeScope();
        var sum = y is null ? null : x + (gate is null ? y : y * gate);
        if (norm is null)
        {
            return (sum!.MoveToOuterDisposeScope(), null, null);
        }

        var (rows, columns) = ((int)x.shape[1], (int)x.shape[2]);
        float[]? Row(Tensor? vector, int row) => vector is null ? null : Part(vector, row / rows);
        var normalized = ReferenceFused.LayerNorm(
            Floats(sum ?? x), columns, norm.Epsilon, norm.Weight is null ? null : Floats(norm.Weight), norm.Bias is null ? null : Floats(norm.Bias),
            row => Row(norm.Scale, row), row => Row(norm.Shift, row));
        // The reference's gradients work out mean and variance anew.
        return (sum?.MoveToOuterDisposeScope(), Tensor(normalized, x.shape).MoveToOuterDisposeScope(), zeros([x.shape[0], rows, 2]).MoveToOuterDisposeScope());
    }

    public ResidualGradients Differentiate(
        Tensor? sum, Tensor? statistics, Tensor? y, Tensor? gate, OpNorm? norm, ScalarType? branch, Tensor? sumGradient, Tensor? normalizedGradient)
    {
        using var scope = NewDisposeScope();
        var shape = (sumGradient ?? normalizedGradient)!.shape;
        var (batch, rows, columns) = (shape[0], (int)shape[1], (int)shape[2]);
        double[]? Each(Tensor? vector) => vector is null ? null : Doubles(vector.expand(batch, 1, columns));
        var factor = norm?.Gain is null ? null : norm.Gain + (norm.IsModulation ? 1 : 0);
        var got = ReferenceNormGradients.Residual(
            rows, columns, norm?.Epsilon ?? 0, sum is null ? null : Doubles(sum), Each(factor), normalizedGradient is null ? null : Doubles(normalizedGradient),
            sumGradient is null ? null : Doubles(sumGradient), y is null ? null : Doubles(y), Each(gate));
        long[] vectors = [batch, 1, columns];
        Tensor Out(double[] values, long[] sides) => Tensor(values, sides).MoveToOuterDisposeScope();
        Tensor? Norm(double[] values) => norm?.Gain is null ? null
            : norm.IsModulation ? Out(values, vectors)
            : Tensor(values, vectors).sum([0]).view(columns).MoveToOuterDisposeScope();
        return new ResidualGradients(
            norm is null ? sumGradient! : Out(got.X, shape), branch is null ? null : Out(got.Y, shape), gate is null ? null : Out(got.Gate, vectors),
            Norm(got.Factor), Norm(got.Offset));
    }

    public Tensor NormalizeHeads(Tensor x, Tensor weight, HeadsCall call)
    {
        using var scope = NewDisposeScope();
        var n = x * (x.square().mean([-1], keepdim: true) + call.Epsilon).rsqrt() * weight;
        if (call.Table is null)
        {
            return n.MoveToOuterDisposeScope();
        }

        var (pairs, table) = (n.unflatten(2, [call.Heads, -1, 2]), call.Table.unsqueeze(1));
        var (a, b, cos, sin) = (pairs.select(-1, 0), pairs.select(-1, 1), table.select(-1, 0), table.select(-1, 1));
        return stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(2).MoveToOuterDisposeScope();
    }

    public (Tensor X, Tensor Weight) DifferentiateHeads(Tensor x, Tensor weight, HeadsCall call, Tensor gradient)
    {
        var columns = (int)x.shape[2];
        var (dx, dweight) = ReferenceNormGradients.Heads(
            Doubles(x), Doubles(gradient), (int)x.shape[1], columns / call.Heads, call.Epsilon, Floats(weight),
            call.Table is null ? null : Floats(call.Table), value => value);
        return (Tensor(dx, x.shape), Tensor(dweight, weight.shape));
    }

    public void Dispose()
    {
    }

    private static float[] Part(Tensor vector, int batch)
    {
        using var part = vector[batch].detach();
        return Floats(part);
    }

    private static float[] Floats(Tensor x)
    {
        using var scope = NewDisposeScope();
        return x.detach().contiguous().data<float>().ToArray();
    }

    private static double[] Doubles(Tensor x)
    {
        using var scope = NewDisposeScope();
        return x.detach().to_type(ScalarType.Float64).contiguous().data<double>().ToArray();
    }

    private static Tensor Tensor(double[] values, long[] shape)
    {
        using var scope = NewDisposeScope();
        return tensor(values, ScalarType.Float32).view(shape).MoveToOuterDisposeScope();
    }
}
