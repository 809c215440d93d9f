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
    private readonly Dictionary<(ElementType, int, int, int), Plan?> _plans = [];
    private readonly nint _handle;

    /// <summary>A handle of cuBLASLt on a device.</summary>
    /// <exception cref="CudaException">The library was not found or refused: see <see cref="IsAvailable"/>.</exception>
    public LinearGelu(CudaDevice device)
    {
        NativeLibraries.RequireCublasLt();
        _device = device;
        _device.MakeCurrent();
        CublasLt.Check(CublasLt.cublasLtCreate(out _handle), "cublasLtCreate");
        try
        {
            _workspace = new CudaBuffer(device, WorkspaceBytes);
        }
        catch
        {
            _ = CublasLt.cublasLtDestroy(_handle);
            throw;
        }
    }

    /// <summary>Whether cuBLASLt was found; it comes with every CUDA libtorch.</summary>
    public static bool IsAvailable => NativeLibraries.HasCublasLt;

    /// <summary>
    /// Puts the product on the stream; false where cuBLASLt has no such product (an old version, a rare size), and nothing is done. Addresses
    /// are device addresses of contiguous tensors, multiples of 16.
    /// </summary>
    /// <param name="x">[rows, inputs]</param>
    /// <param name="weight">[outputs, inputs]</param>
    /// <param name="bias">[outputs]</param>
    /// <param name="y">[rows, outputs]</param>
    /// <param name="type">Type of all four.</param>
    /// <param name="rows">Batch times tokens.</param>
    /// <param name="inputs">Columns of x, a multiple of 8.</param>
    /// <param name="outputs">Columns of y, a multiple of 8.</param>
    /// <param name="stream">The stream.</param>
    public bool TryRun(nint x, nint weight, nint bias, nint y, ElementType type, int rows, int inputs, int outputs, nint stream = 0)
    {
        FusedOp.RequireRows(rows, inputs);
        FusedOp.RequireRows(rows, outputs);
        FusedOp.RequireAligned([x, weight, bias, y]);
        _device.MakeCurrent();
        if (!_plans.TryGetValue((type, rows, inputs, outputs), out var plan))
        {
            _plans[(type, rows, inputs, outputs)] = plan = Plan.Find(_handle, type, rows, inputs, outputs, bias);
        }

        plan?.Run(_handle, x, weight, bias, y, _workspace, stream);
        return plan is not null;
    }

    /// <summary>Frees the handle and the workspace.</summary>
    public void Dispose()
    {
        foreach (var plan in _plans.Values)
        {
            plan?.Dispose();
        }

        _plans.Clear();
        _workspace.Dispose();
        _ = CublasLt.cublasLtDestroy(_handle);
    }

    // cuBLAS counts columns first: to it y is yᵀ [outputs, rows] = W xᵀ, with W given as its transpose.
    private sealed class Plan : IDisposable
    {
        private nint _desc, _weight, _x, _y;
        private CublasLt.Heuristic _choice;

        /// <summary>A plan of a size; null where cuBLASLt has none. What was made until then is freed.</summary>
        public static Plan? Find(nint handle, ElementType type, int rows, int inputs, int outputs, nint bias)
        {
            var element = type == ElementType.Float16 ? CublasLt.Float16 : CublasLt.BFloat16;
            var plan = new Plan();
            try
            {
                CublasLt.Check(CublasLt.cublasLtMatmulDescCreate(out plan._desc, CublasLt.ComputeFloat32, CublasLt.Float32), "cublasLtMatmulDescCreate");
                plan.Set(CublasLt.DescTransposeA, CublasLt.Transposed);
                plan.Set(CublasLt.DescEpilogue, CublasLt.EpilogueGeluBias);
                plan.Set(CublasLt.DescBiasPointer, bias);
                plan._weight = Layout(element, inputs, outputs);
                plan._x = Layout(element, inputs, rows);
                plan._y = Layout(element, outputs, rows);
                if (CublasLt.Choose(handle, plan._desc, plan._weight, plan._x, plan._y, WorkspaceBytes) is { } choice)
                {
                    plan._choice = choice;
                    return plan;
                }
            }
            catch
            {
                plan.Dispose();
                throw;
            }

            plan.Dispose();
            return null;
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
            foreach (var layout in new[] { _weight, _x, _y }.Where(layout => layout != 0))
            {
                _ = CublasLt.cublasLtMatrixLayoutDestroy(layout);
            }

            if (_desc != 0)
            {
                _ = CublasLt.cublasLtMatmulDescDestroy(_desc);
            }
        }

        private static nint Layout(int type, int rows, int columns)
        {
            CublasLt.Check(CublasLt.cublasLtMatrixLayoutCreate(out var layout, type, (ulong)rows, (ulong)columns, rows), "cublasLtMatrixLayoutCreate");
            return layout;
        }

        private void Set<T>(int attribute, T value)
            where T : unmanaged => CublasLt.Check(
                CublasLt.cublasLtMatmulDescSetAttribute(_desc, attribute, &value, (nuint)sizeof(T)), "cublasLtMatmulDescSetAttribute");
    }
}
