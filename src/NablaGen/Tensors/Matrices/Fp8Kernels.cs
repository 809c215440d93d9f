using NablaGen.Cuda;
using NablaGen.Cuda.Fused;
using NablaGen.Cuda.Gemm;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tensors.Matrices;

/// <summary>The fp8 kernels of a CUDA device, made once a process: all matrices of a device share cuBLASLt's handle and its 32 MiB.</summary>
internal sealed class Fp8Kernels
{
    private static readonly Lock Gate = new();
    private static readonly Dictionary<int, Fp8Kernels> Made = [];

    private readonly Lock _use = new();
    private readonly KernelAddress _at;
    private readonly QuantizeRows _rows;
    private readonly ExpandNumbers _expand;
    private Fp8Linear? _linear;
    private readonly Device _device;

    private Fp8Kernels(Device device)
    {
        (_device, _at) = (device, new KernelAddress(device));
        var cuda = CudaDevices.Open(device);
        (_rows, _expand) = (new QuantizeRows(cuda), new ExpandNumbers(cuda));
    }

    /// <summary>Those of a device.</summary>
    public static Fp8Kernels Of(Device device)
    {
        lock (Gate)
        {
            var number = Math.Max(device.index, 0);
            return Made.TryGetValue(number, out var kernels) ? kernels : Made[number] = new Fp8Kernels(device);
        }
    }

    /// <summary>Why a device has no fp8 products with a scale a row, in a clause; null where it has.</summary>
    /// <param name="device">Any device.</param>
    public static string? WhyNot(Device device)
    {
        if (device.type != DeviceType.CUDA)
        {
            return "fp8 products need an NVIDIA GPU";
        }

        try
        {
            var kernels = Of(device);
            lock (kernels._use)
            {
                kernels.Linear.RequireProducts();
            }

            return null;
        }
        catch (CudaException error)
        {
            return error.Message.TrimEnd('.');
        }
    }

    /// <summary>Rows to fp8.</summary>
    /// <param name="x">16-bit or float32. [..., inputs]</param>
    /// <param name="codes">Bytes. [..., inputs]</param>
    /// <param name="scales">float32. [...]</param>
    /// <param name="gelu">Whether the rows are those of GELU(x); of 16-bit x.</param>
    public void Quantize(Tensor x, Tensor codes, Tensor scales, bool gelu = false)
    {
        var (rows, columns) = (checked((int)scales.NumberOfElements), (int)x.shape[^1]);
        var (y, factors) = (_at.Of(codes, ScalarType.Byte, "rows in fp8"), _at.Of(scales, ScalarType.Float32, "the rows' scales"));
        if (x.dtype == ScalarType.Float32 && !gelu)
        {
            _rows.RunFloat32(_at.Of(x, ScalarType.Float32, "rows"), y, factors, rows, columns);
            return;
        }

        var type = x.dtype == ScalarType.Float16 ? x.dtype : ScalarType.BFloat16;
        _rows.Run(_at.Of(x, type, "rows"), y, factors, CudaDevices.ElementType(type), rows, columns, gelu);
    }

    /// <summary>x Wᵀ + b in bfloat16. [..., outputs]</summary>
    /// <param name="x">Rows in fp8 with their scales. [..., inputs]</param>
    /// <param name="codes">W in fp8. [outputs, inputs]</param>
    /// <param name="scales">W's scales, float32. [outputs]</param>
    /// <param name="bias">bfloat16 [outputs], or null.</param>
    public Tensor Multiply(Activation x, Tensor codes, Tensor scales, Tensor? bias)
    {
        var (outputs, inputs) = ((int)codes.shape[0], (int)codes.shape[1]);
        using var scope = NewDisposeScope();
        var y = empty([.. x.Values.shape[..^1], outputs], ScalarType.BFloat16, _device);
        bool isDone;
        lock (_use)
        {
            isDone = Linear.TryRun(
                _at.Of(x.Values, ScalarType.Byte, "an activation in fp8"), _at.Of(x.RowScales, ScalarType.Float32, "its rows' scales"),
                _at.Of(codes, ScalarType.Byte, "a matrix in fp8"), _at.Of(scales, ScalarType.Float32, "its rows' scales"),
                _at.Of(bias, ScalarType.BFloat16, "the bias"), _at.Of(y, ScalarType.BFloat16, "the result"),
                checked((int)x.RowScales!.NumberOfElements), inputs, outputs);
        }

        // A size that cuBLASLt has no fp8 product for: the same numbers, rounded to 16 bits.
        return (isDone ? y : nn.functional.linear(Expand(x.Values, x.RowScales!), Expand(codes, scales), bias)).MoveToOuterDisposeScope();
    }

    private Tensor Expand(Tensor codes, Tensor scales)
    {
        var expanded = empty(codes.shape, ScalarType.BFloat16, _device);
        _expand.Run(
            StoredNumbers.E4M3, _at.Of(codes, ScalarType.Byte, "numbers in fp8"), _at.Of(scales, ScalarType.Float32, "their scales"), codes.shape[^1],
            _at.Of(expanded, ScalarType.BFloat16, "their room"), CudaDevices.ElementType(ScalarType.BFloat16), codes.NumberOfElements);
        return expanded;
    }

    private Fp8Linear Linear => _linear ??= new Fp8Linear(CudaDevices.Open(_device));
}
