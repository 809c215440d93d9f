using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;

namespace NablaGen.Tests.Cuda;

/// <summary>Attention to a few keys, the last of which counts several times.</summary>
[Trait("gpu", "true")]
public class TextAttentionTests
{
    [Theory]
    [InlineData(1, 1, 128, 64, 64, 1, ElementType.BFloat16, false)]
    [InlineData(1, 2, 128, 1, 1, 512, ElementType.BFloat16, true)]
    [InlineData(2, 3, 128, 1000, 27, 486, ElementType.BFloat16, false)]
    [InlineData(1, 40, 128, 777, 65, 448, ElementType.BFloat16, true)]
    [InlineData(2, 5, 64, 900, 128, 385, ElementType.Float16, false)]
    [InlineData(1, 3, 128, 513, 129, 2, ElementType.Float16, true)]
    [InlineData(1, 2, 128, 4000, 256, 257, ElementType.BFloat16, false)]
    public void It_agrees_with_attention_to_every_copy(int batch, int heads, int headSize, int tokens, int keys, int copies, ElementType type, bool scaled)
    {
        var device = Gpu.Require(AttentionKernel.Hopper);
        var (draw, rows) = (new Draw(keys), batch * heads);
        double[] q = draw.Normals(rows * tokens * headSize, type, 2), k = draw.Normals(rows * keys * headSize, type), v = draw.Normals(rows * keys * headSize, type);
        float[] factors = [.. draw.Floats(batch * tokens, 0.3).Select(x => scaled ? Math.Abs(x) + 0.1f : 1)];
        double[] exact = Attend(q, k, v, (batch, heads, tokens, keys, headSize), factors, copies, null), reference = Attend(q, k, v, (batch, heads, tokens, keys, headSize), factors, copies, type);

        // Tokens first in memory, as a linear layer leaves them.
        int Place(int i, int length) => (((((i / headSize / length / heads) * length) + (i / headSize % length)) * heads) + (i / headSize / length % heads)) * headSize + (i % headSize);
        CudaBuffer Upload(double[] x, int length)
        {
            var bits = new ushort[x.Length];
            for (var i = 0; i < x.Length; i++)
            {
                bits[Place(i, length)] = Element16.Encode(type, x[i]);
            }

            return CudaBuffer.From<ushort>(device, bits);
        }

        AttentionTensor Tensor(CudaBuffer buffer, int length) => AttentionTensor.TokensFirst(buffer.Pointer, type, batch, heads, length, headSize);
        using CudaBuffer onQ = Upload(q, tokens), onK = Upload(k, keys), onV = Upload(v, keys), onFactors = CudaBuffer.From<float>(device, factors), output = Gpu.Poisoned(device, 2L * q.Length);
        new TextAttention(device).Run(Tensor(onQ, tokens), Tensor(onK, keys), Tensor(onV, keys), Tensor(output, tokens), copies, inverse: scaled ? onFactors.Pointer : 0);
        var bits = output.ToArray<ushort>(q.Length);
        Gates.ReorderedSum([.. Enumerable.Range(0, q.Length).Select(i => Element16.Decode(type, bits[Place(i, tokens)]))], reference, exact, floor: 1e-6);

        using CudaBuffer codes = Gpu.Poisoned(device, q.Length), scales = Gpu.Poisoned(device, 4L * batch * tokens), most = CudaBuffer.From<float>(device, [(float)v.Max(Math.Abs)]);
        new TextAttention(device).RunToFp8(Tensor(onQ, tokens), Tensor(onK, keys), Tensor(onV, keys), codes.Pointer, scales.Pointer, most.Pointer, copies, inverse: scaled ? onFactors.Pointer : 0);
        var factor = (float)(v.Max(Math.Abs) / 448);
        Assert.All(scales.ToArray<float>(batch * tokens), one => Assert.Equal(factor, one, factor * 1e-6));
        var rounded = codes.ToArray<byte>(q.Length);
        double error = 0, size = 0;
        for (var i = 0; i < q.Length; i++)
        {
            error += Math.Pow((ReferenceEightBits.Decode(rounded[Place(i, tokens)]) * factor) - exact[i], 2);
            size += exact[i] * exact[i];
        }

        // Rounding to three bits of mantissa is 2.6%.
        Assert.True(Math.Sqrt(error / size) <= 0.03, $"in fp8 the distance is {Math.Sqrt(error / size):0.0000} of the exact result");
    }

    [Fact]
    public void More_keys_than_fit_are_refused()
    {
        var device = Gpu.Require(AttentionKernel.Hopper);
        Assert.False(TextAttention.Fits(device, 128, TextAttention.MostKeys + 1));
        Assert.False(TextAttention.Fits(device, 96, 16));
        using var buffer = new CudaBuffer(device, 2 * 300 * 128);
        AttentionTensor Tensor(int tokens) => AttentionTensor.TokensFirst(buffer.Pointer, ElementType.BFloat16, 1, 1, tokens, 128);
        Assert.Throws<ArgumentException>(() => new TextAttention(device).Run(Tensor(64), Tensor(300), Tensor(300), Tensor(64)));
        Assert.Throws<ArgumentException>(() => new TextAttention(device).Run(Tensor(64), Tensor(20), Tensor(20), Tensor(64), copies: 0));
    }

    // All [batch, heads, tokens or keys, headSize], a factor for each token of a batch; with a type weights and output are rounded to it.
    private static double[] Attend(
        double[] q, double[] k, double[] v, (int Batch, int Heads, int Tokens, int Keys, int HeadSize) shape, float[] factors, int copies, ElementType? type)
    {
        var (batch, heads, tokens, keys, size) = shape;
        double Round(double x) => type is { } rounding ? Element16.Round(rounding, x) : x;
        var output = new double[q.Length];
        Parallel.For(0, batch * heads * tokens, at =>
        {
            var logits = new double[keys];
            for (var j = 0; j < keys; j++)
            {
                for (var d = 0; d < size; d++)
                {
                    logits[j] += q[(at * size) + d] * k[(((at / tokens * keys) + j) * size) + d] * factors[(at / tokens / heads * tokens) + (at % tokens)] / Math.Sqrt(size);
                }
            }

            logits[^1] += Math.Log(copies);
            var top = logits.Max();
            var total = logits.Sum(logit => Math.Exp(logit - top));
            for (var j = 0; j < keys; j++)
            {
                var weight = Round(Math.Exp(logits[j] - top)) / total;
                for (var d = 0; d < size; d++)
                {
                    output[(at * size) + d] += weight * v[(((at / tokens * keys) + j) * size) + d];
                }
            }

            for (var d = 0; d < size; d++)
            {
                output[(at * size) + d] = Round(output[(at * size) + d]);
            }
        });
        return output;
    }
}
