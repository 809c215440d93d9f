using NablaGen.Cuda.Device;
using NablaGen.Cuda.Fused;
using NablaGen.Cuda.Native;

namespace NablaGen.Cuda.Gemm;

/// <summary>
/// y = (sx ∘ x) (sw ∘ W)ᵀ + b with x and W in fp8 (E4M3) and a float32 scale for each row of either, by cuBLASLt: y is bf16, rounded once from
/// the scaled sums. Compute capability 9.0 and a cuBLASLt of CUDA 12.9 or newer. The first call for a size chooses an algorithm.
/// </summary>
public sealed unsafe class Fp8Linear : IDisposable
{
    // What NVIDIA advises for Hopper.
    private const long WorkspaceBytes = 32L << 20;

    private const int Smallest = 16;

    private readonly CudaDevice _device;
    private readonly bool _fastSums;
    private readonly CudaBuffer _workspace;
    private readonly Dictionary<(int, int, int, bool), Plan?> _plans = [];
    private readonly nint _handle;

    /// <summary>A handle of cuBLASLt on a device.</summary>
    /// <param name="device">Where it runs.</param>
    /// <param name="fastSums">
    /// Whether sums may stay in the tensor core, which keeps about 14 bits of them; else parts of them are added up in float32 outside.
    /// </param>
    /// <exception cref="CudaException">The library was not found, or the device has no fp8 products with a scale a row.</exception>
    public Fp8Linear(CudaDevice device, bool fastSums = true)
    {
        if (device.Capability.Number != 90)
        {
            throw new CudaException($"{device.Name} has compute capability {device.Capability}; fp8 products with a scale a row need 9.0.");
        }

        NativeLibraries.RequireCublasLt();
        (_device, _fastSums) = (device, fastSums);
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

    /// <summary>Puts the product on the stream; false where cuBLASLt has none of this size, and nothing is done. Addresses are device addresses of contiguous tensors, multiples of 16.</summary>
    /// <param name="x">fp8 [rows, inputs]</param>
    /// <param name="xScales">float32 [rows]</param>
    /// <param name="weight">fp8 [outputs, inputs]</param>
    /// <param name="weightScales">float32 [outputs]</param>
    /// <param name="bias">bf16 [outputs], or 0</param>
    /// <param name="y">bf16 [rows, outputs]</param>
    /// <param name="rows">Batch times tokens.</param>
    /// <param name="inputs">Columns of x, a multiple of 16.</param>
    /// <param name="outputs">Columns of y, a multiple of 16.</param>
    /// <param name="stream">The stream.</param>
    public bool TryRun(nint x, nint xScales, nint weight, nint weightScales, nint bias, nint y, int rows, int inputs, int outputs, nint stream = 0)
    {
        FusedOp.RequireRows(rows, inputs);
        FusedOp.RequireAligned([x, xScales, weight, weightScales, bias, y]);
        if (inputs % 16 != 0 || outputs < 16 || outputs % 16 != 0)
        {
            throw new ArgumentException($"{inputs} inputs and {outputs} outputs; fp8 products take multiples of 16.");
        }

        _device.MakeCurrent();
        if (!_plans.TryGetValue((rows, inputs, outputs, bias != 0), out var plan))
        {
            _plans[(rows, inputs, outputs, bias != 0)] = plan = Find(rows, inputs, outputs, (xScales, weightScales, bias));
        }

        plan?.Run(_handle, (x, xScales), (weight, weightScales), bias, y, _workspace, stream);
        return plan is not null;
    }

    /// <summary>The same where there must be one.</summary>
    /// <exception cref="CudaException">cuBLASLt has no such product: it is older than CUDA 12.9's, or has none of this size.</exception>
    public void Run(nint x, nint xScales, nint weight, nint weightScales, nint bias, nint y, int rows, int inputs, int outputs, nint stream = 0)
    {
        if (!TryRun(x, xScales, weight, weightScales, bias, y, rows, inputs, outputs, stream))
        {
            throw None(rows, inputs, outputs);
        }
    }

    /// <summary>Sees that cuBLASLt has such products, by looking for a small one.</summary>
    /// <exception cref="CudaException">It has not.</exception>
    public void RequireProducts()
    {
        _device.MakeCurrent();
        var at = _workspace.Pointer;
        (Find(Smallest, Smallest, Smallest, (at, at, at)) ?? throw None(Smallest, Smallest, Smallest)).Dispose();
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

    private static CudaException None(int rows, int inputs, int outputs) =>
        new($"cuBLASLt has no fp8 product with a scale a row for {rows} × {inputs} → {outputs}; CUDA 12.9's and newer have.");

    // Some sizes have products with float32 sums alone.
    private Plan? Find(int rows, int inputs, int outputs, (nint X, nint Weight, nint Bias) pointers) =>
        (_fastSums ? Plan.Find(_handle, true, rows, inputs, outputs, pointers) : null) ?? Plan.Find(_handle, false, rows, inputs, outputs, pointers);

    // cuBLAS counts columns first: to it y is yᵀ [outputs, rows] = W xᵀ, with W given as its transpose. So W is its A and x its B.
    private sealed class Plan : IDisposable
    {
        private nint _desc, _weight, _x, _y;
        private CublasLt.Heuristic _choice;

        /// <summary>A plan of a size; null where cuBLASLt has none.</summary>
        public static Plan? Find(nint handle, bool fastSums, int rows, int inputs, int outputs, (nint X, nint Weight, nint Bias) pointers)
        {
            var plan = new Plan();
            try
            {
                CublasLt.Check(CublasLt.cublasLtMatmulDescCreate(out plan._desc, CublasLt.ComputeFloat32, CublasLt.Float32), "cublasLtMatmulDescCreate");
                plan.Set(CublasLt.DescTransposeA, CublasLt.Transposed);
                plan.Set(CublasLt.DescFastSums, (sbyte)(fastSums ? 1 : 0));
                plan.Set(CublasLt.DescScaleModeA, CublasLt.ScaleARow);
                plan.Set(CublasLt.DescScaleModeB, CublasLt.ScaleARow);
                if (pointers.Bias != 0)
                {
                    plan.Set(CublasLt.DescEpilogue, CublasLt.EpilogueBias);
                }

                plan.SetPointers(pointers);
                plan._weight = Layout(CublasLt.Float8E4M3, inputs, outputs);
                plan._x = Layout(CublasLt.Float8E4M3, inputs, rows);
                plan._y = Layout(CublasLt.BFloat16, outputs, rows);
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

        public void Run(nint handle, (nint At, nint Scales) x, (nint At, nint Scales) weight, nint bias, nint y, CudaBuffer workspace, nint stream)
        {
            SetPointers((x.Scales, weight.Scales, bias));
            float alpha = 1, beta = 0;
            var choice = _choice;
            CublasLt.Check(
                CublasLt.cublasLtMatmul(
                    handle, _desc, &alpha, weight.At, _weight, x.At, _x, &beta, y, _y, y, _y, choice.Algorithm, workspace.Pointer,
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

        private void SetPointers((nint X, nint Weight, nint Bias) pointers)
        {
            Set(CublasLt.DescScalePointerA, pointers.Weight);
            Set(CublasLt.DescScalePointerB, pointers.X);
            if (pointers.Bias != 0)
            {
                Set(CublasLt.DescBiasPointer, pointers.Bias);
            }
        }

        private void Set<T>(int attribute, T value)
            where T : unmanaged => CublasLt.Check(
                CublasLt.cublasLtMatmulDescSetAttribute(_desc, attribute, &value, (nuint)sizeof(T)), "cublasLtMatmulDescSetAttribute");
    }
}
