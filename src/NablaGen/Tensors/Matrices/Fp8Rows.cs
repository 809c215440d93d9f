using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tensors.Matrices;

/// <summary>Rows of numbers in fp8 (E4M3) with a float32 scale each: on CUDA by quantize_rows.cu, on the CPU by the same rule, its reference.</summary>
internal static unsafe class Fp8Rows
{
    /// <summary>
    /// y = fp8(x · 448 / max|x|) and the scale max|x| / 448 of each row; 1 for a row of zeros, infinity or NaN where the row has one, so
    /// that it shows.
    /// </summary>
    /// <param name="x">Any real numbers; inputs a multiple of 16 on CUDA. [..., inputs]</param>
    /// <returns>Codes in bytes [..., inputs], and float32 scales [...].</returns>
    public static Activation Quantize(Tensor x)
    {
        using var scope = NewDisposeScope();
        var input = (CudaDevices.IsSixteenBit(x.dtype) && x.device_type == DeviceType.CUDA ? x : x.to_type(ScalarType.Float32)).contiguous();
        var codes = empty(x.shape, ScalarType.Byte, x.device);
        var scales = empty(x.shape[..^1], ScalarType.Float32, x.device);
        if (x.device_type == DeviceType.CUDA)
        {
            Fp8Kernels.Of(x.device).Quantize(input, codes, scales);
        }
        else
        {
            Quantize(input, codes, scales);
        }

        return new Activation(codes.MoveToOuterDisposeScope(), scales.MoveToOuterDisposeScope());
    }

    /// <summary>The numbers that rows on the CPU stand for, in float32.</summary>
    /// <param name="codes">[..., inputs]</param>
    /// <param name="scales">[...]</param>
    public static Tensor Decode(Tensor codes, Tensor scales)
    {
        using var scope = NewDisposeScope();
        var values = tensor(E4M3.Values.ToArray()).index_select(0, codes.flatten().to_type(ScalarType.Int64)).reshape(codes.shape);
        return values.mul(scales.unsqueeze(-1)).MoveToOuterDisposeScope();
    }

    private static void Quantize(Tensor input, Tensor codes, Tensor scales)
    {
        var columns = input.shape[^1];
        var (from, to, factors) = ((nint)TensorMemory.Pointer(input), (nint)TensorMemory.Pointer(codes), (nint)TensorMemory.Pointer(scales));
        Parallel.For(0L, scales.NumberOfElements, row =>
        {
            var x = (float*)from + row * columns;
            var y = (byte*)to + row * columns;
            float top = 0;
            for (long i = 0; i < columns; i++)
            {
                // NaN wins.
                var magnitude = Math.Abs(x[i]);
                top = top > magnitude || float.IsNaN(top) ? top : magnitude;
            }

            var isZero = top < E4M3.Tiny;
            ((float*)factors)[row] = isZero ? 1 : top / E4M3.Largest;
            var factor = isZero ? 1 : E4M3.Largest / top;
            for (long i = 0; i < columns; i++)
            {
                y[i] = E4M3.Encode(x[i] * factor);
            }
        });
        GC.KeepAlive(input);
    }
}
