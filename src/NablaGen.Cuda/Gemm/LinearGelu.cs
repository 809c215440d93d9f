using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;
using NablaGen.Cuda.Fused;
using NablaGen.Cuda.Native;

namespace NablaGen.Cuda.Gemm;

/// <summary>
/// y = GELU(x Wᵀ + b), tanh form, by cuBLASLt with bias and GELU applied to the float32 sums: it saves the pass that would read and
/// write y once more. The first call for a size chooses an algorithm.
/// </summary>
public sealed unsafe class LinearGelu : IDisposable
{
    // What NVIDIA advises for Hopper.
    private const long WorkspaceBytes = 32L << 20;

    private readonly CudaDevice _device;
    private readonly CudaBuffer _workspace;
    private readonly Dictionary<(ElementType, int, int, int), Plan> _plans = [];
    private readonly nint _handle;

    /// <summary>A handle of cuBLASLt on a device.</summary>
    /// <exception cref="CudaException">The library was not found or refused: see <see cref="IsAvailable"/>.</exception>
    public LinearGelu(CudaDevice device)
    {
        NativeLibraries.RequireCublasLt();
        _device = device;
        _device.MakeCurrent();
        CublasLt.Check(CublasLt.cublasLtCreate(out _handle), "cublasLtCreate");
        _workspace = new CudaBuffer(device, WorkspaceBytes);
    }

    /// <summary>Whether cuBLASLt was found; it comes with every CUDA libtorch.</summary>
    public static bool IsAvailable => NativeLibraries.HasCublasLt;

    /// <summary>Puts the product on the stream. Addresses are device addresses of contiguous tensors, multiples of 16.</summary>
    /// <param name="x">[rows, inputs]</param>
    /// <param name="weight">[outputs, inputs]</param>
    /// <param name="bias">[outputs]</param>
    /// <param name="y">[rows, outputs]</param>
    /// <param name="type">Type of all four.</param>
    /// <param name="rows">Batch times tokens.</param>
    /// <param name="inputs">Columns of x, a multiple of 8.</param>
    /// <param name="outputs">Columns of y, a multiple of 8.</param>
    /// <param name="stream">The stream.</param>
    public void Run(nint x, nint weight, nint bias, nint y, ElementType type, int rows, int inputs, int outputs, nint stream = 0)
    {
        FusedOp.RequireRows(rows, inputs);
        FusedOp.RequireRows(rows, outputs);
        FusedOp.RequireAligned([x, weight, bias, y]);
        _device.MakeCurrent();
        if (!_plans.TryGetValue((type, rows, inputs, outputs), out var plan))
        {
            _plans[(type, rows, inputs, outputs)] = plan = new Plan(_handle, type, rows, inputs, outputs, bias);
        }

        plan.Run(_handle, x, weight, bias, y, _workspace, stream);
    }

    /// <summary>Frees the handle and the workspace.</summary>
    public void Dispose()
    {
        foreach (var plan in _plans.Values)
        {
            plan.Dispose();
        }

        _plans.Clear();
        _workspace.Dispose();
        _ = CublasLt.cublasLtDestroy(_handle);
    }

    // cuBLAS counts columns first: to it y is yᵀ [outputs, rows] = W xᵀ, with W given as its transpose.
    private sealed class Plan : IDisposable
    {
        private readonly nint _desc, _weight, _x, _y;
        private readonly CublasLt.Heuristic _choice;

        public Plan(nint handle, ElementType type, int rows, int inputs, int outputs, nint bias)
        {
            var element = type == ElementType.Float16 ? CublasLt.Float16 : CublasLt.BFloat16;
            CublasLt.Check(CublasLt.cublasLtMatmulDescCreate(out _desc, CublasLt.ComputeFloat32, CublasLt.Float32), "cublasLtMatmulDescCreate");
            Set(CublasLt.DescTransposeA, CublasLt.Transposed);
            Set(CublasLt.DescEpilogue, CublasLt.EpilogueGeluBias);
            Set(CublasLt.DescBiasPointer, bias);
            CublasLt.Check(CublasLt.cublasLtMatrixLayoutCreate(out _weight, element, (ulong)inputs, (ulong)outputs, inputs), "cublasLtMatrixLayoutCreate");
            CublasLt.Check(CublasLt.cublasLtMatrixLayoutCreate(out _x, element, (ulong)inputs, (ulong)rows, inputs), "cublasLtMatrixLayoutCreate");
            CublasLt.Check(CublasLt.cublasLtMatrixLayoutCreate(out _y, element, (ulong)outputs, (ulong)rows, outputs), "cublasLtMatrixLayoutCreate");
            _choice = CublasLt.Choose(handle, _desc, _weight, _x, _y, WorkspaceBytes)
                ?? throw new CudaException($"cuBLASLt has no product with GELU for {rows} × {inputs} → {outputs}.");
        }

        public void Run(nint handle, nint x, nint weight, nint bias, nint y, CudaBuffer workspace, nint stream)
        {
            Set(CublasLt.DescBiasPointer, bias);
            float alpha = 1, beta = 0;
            var choice = _choice;
            CublasLt.Check(
                CublasLt.cublasLtMatmul(
                    handle, _desc, &alpha, weight, _weight, x, _x, &beta, y, _y, y, _y, choice.Algorithm, workspace.Pointer,
                    (nuint)workspace.Bytes, stream),
                "cublasLtMatmul");
        }

        public void Dispose()
        {
            _ = CublasLt.cublasLtMatrixLayoutDestroy(_y);
            _ = CublasLt.cublasLtMatrixLayoutDestroy(_x);
            _ = CublasLt.cublasLtMatrixLayoutDestroy(_weight);
            _ = CublasLt.cublasLtMatmulDescDestroy(_desc);
        }

        private void Set<T>(int attribute, T value)
            where T : unmanaged => CublasLt.Check(
                CublasLt.cublasLtMatmulDescSetAttribute(_desc, attribute, &value, (nuint)sizeof(T)), "cublasLtMatmulDescSetAttribute");
    }
}
